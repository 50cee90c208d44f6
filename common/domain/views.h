// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/failure.h"
#include "common/domain/ids.h"
#include "common/domain/job.h"
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

  bool operator==(const TaskView&) const = default;
};

struct JobView {
  JobId id;
  JobSpec spec;
  JobState state = JobState::kQueued;
  std::vector<TaskView> tasks;            ///< in plan order; empty in lists
  std::map<std::string, BlobId> outputs;  ///< trees, as they become ready
  std::optional<Failure> failure;         ///< of the first task that failed
  std::int64_t created_unix_ms = 0;
  std::int64_t ended_unix_ms = 0;
  std::int64_t last_event = 0;

  bool operator==(const JobView&) const = default;
};

/// Something that happened to a job.
struct JobEvent {
  std::int64_t number = 0;  ///< rises by 1 within the job; 0 for progress, which is not stored
  std::int64_t unix_ms = 0;
  std::string text;  ///< for people: "compile.die2 started on worker gpu1 (attempt 1)"
  JobState job_state = JobState::kQueued;
  std::optional<TaskView> task;  ///< the task that changed, with its state at that time

  bool operator==(const JobEvent&) const = default;
};

struct SubmitRequest {
  std::string request_id;  ///< 1 to 64 characters; the same one gives the job that it gave first
  JobSpec spec;
};

/// Which jobs to list, newest first.
struct JobQuery {
  std::int64_t page_size = 0;    ///< at most 1000; 0 means 50
  std::string page_token;        ///< from the last page; empty: the first
  std::vector<JobState> states;  ///< empty: all
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
