// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/checkpoint.h"
#include "common/domain/failure.h"
#include "common/domain/ids.h"
#include "common/domain/job.h"
#include "common/domain/pending.h"
#include "common/domain/progress.h"
#include "common/domain/states.h"

// What the server shows of its jobs and what people ask about them: plain data, the same on both
// ends of the wire (common/wire converts). Times are milliseconds since 1970 UTC; 0 means not yet.
namespace tyllm::domain {

struct TaskView {
  TaskId id;
  std::string label;
  TaskKind kind = TaskKind::kQuantize;
  TaskState state = TaskState::kWaiting;
  Attempt attempt = 0;  ///< of the running or last attempt, 0 before the first
  std::string worker;   ///< of that attempt
  Progress progress;
  std::optional<BlobId> output;    ///< tree, when kSucceeded
  std::optional<Failure> failure;  ///< why it failed, or why its last attempt ended
  bool cached = false;             ///< the output was there already
  std::int64_t queued_unix_ms = 0;
  std::int64_t started_unix_ms = 0;
  std::int64_t ended_unix_ms = 0;
  std::optional<Pending> pending;        ///< while kWaiting or kQueued, of one job asked for
  std::optional<Checkpoint> checkpoint;  ///< the newest
  double device_seconds = 0;             ///< of all its attempts, as its project is charged

  bool operator==(const TaskView&) const = default;
};

struct JobView {
  JobId id;
  JobSpec spec;  ///< as submitted; labels and priority may have changed since
  JobState state = JobState::kQueued;
  std::vector<TaskView> tasks;            ///< in plan order; empty in lists
  std::map<std::string, BlobId> outputs;  ///< trees, as they become ready
  std::optional<Failure> failure;         ///< of the first task that failed
  std::int64_t created_unix_ms = 0;
  std::int64_t ended_unix_ms = 0;
  std::int64_t last_event = 0;
  std::string etag;  ///< changes with everything but progress
  std::string project = std::string(kDefaultProject);
  std::int32_t priority = 0;
  std::map<std::string, std::string> labels;
  std::optional<JobId> retry_of;          ///< the job that this one continues
  std::int64_t expected_end_unix_ms = 0;  ///< 0: nothing to tell from
  std::string submitted_by = {};          ///< empty: somebody without a name
  /// It is given up then; 0: never, or some task of it has begun.
  std::int64_t start_by_unix_ms = 0;

  bool operator==(const JobView&) const = default;
};

/// Something that happened to a job.
struct JobEvent {
  std::int64_t number = 0;  ///< rises by 1 within the job; 0 for progress, which is not stored
  std::int64_t unix_ms = 0;
  std::string text;  ///< for people: "compile.die2 started on worker gpu1 (attempt 1)"
  JobState job_state = JobState::kQueued;
  std::optional<TaskView> task;  ///< the task that changed, with its state at that time
  std::string by = {};           ///< who asked for it, if somebody with a name did

  bool operator==(const JobEvent&) const = default;
};

struct SubmitRequest {
  std::string request_id;  ///< 1 to 64 characters; the same one gives the job that it gave first
  JobSpec spec;
  bool validate_only = false;        ///< say what would happen, queue nothing; needs no request_id
  bool refuse_if_no_worker = false;  ///< queue nothing that no worker can take now
  std::string by = {};               ///< who asks, as the connection tells; in no message
};

enum class JobOrder : std::uint8_t {
  kNewest,
  kOldest,
  kEnded,     ///< those that ended last first; jobs that have not ended are left out
  kPriority,  ///< largest first, then oldest
};

inline constexpr EnumTable<JobOrder, 4> kJobOrderNames("order of jobs",
                                                       {{{JobOrder::kNewest, "newest"},
                                                         {JobOrder::kOldest, "oldest"},
                                                         {JobOrder::kEnded, "ended"},
                                                         {JobOrder::kPriority, "priority"}}});

constexpr const auto& NamesOf(JobOrder) {
  return kJobOrderNames;
}

/// Which jobs to list: those to which everything applies that is given.
struct JobQuery {
  std::int64_t page_size = 0;                 ///< at most 1000; 0 means 50
  std::string page_token;                     ///< from the last page; empty: the first
  std::vector<JobState> states;               ///< one of these; empty: all
  std::vector<JobKind> kinds;                 ///< one of these; empty: all
  std::string project;                        ///< empty: all
  std::map<std::string, std::string> labels;  ///< all of these; an empty value: any
  std::string name_prefix;
  std::int64_t created_from_unix_ms = 0;
  std::int64_t created_before_unix_ms = 0;  ///< 0: no limit
  JobOrder order = JobOrder::kNewest;
  std::string submitted_by = {};  ///< empty: all
};

struct JobPage {
  std::vector<JobView> jobs;  ///< without tasks
  std::string next_page_token;
};

/// Log bytes of one attempt.
struct LogChunk {
  Attempt attempt = 0;
  std::int64_t offset = 0;
  std::string data;
  bool ended = false;  ///< nothing comes after `data`: the attempt is over and this was its end
};

struct ServerInfo {
  std::string version;
  std::int64_t schema_version = 0;
  std::int64_t started_unix_ms = 0;
  std::map<JobState, std::int64_t> jobs_by_state;
  std::uint64_t blob_bytes = 0;
};

}  // namespace tyllm::domain
