// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/explanation.h"
#include "common/domain/project.h"
#include "common/domain/results.h"
#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "server/sched/ending.h"
#include "server/sched/fair_order.h"
#include "server/sched/retry.h"
#include "server/sched/run_history.h"

// What goes into the queue and comes out of it.
namespace tyllm::server::store {

using domain::AttemptId;
using domain::JobId;
using domain::TaskId;
using domain::WorkerSession;

/// What a call with a request id did.
struct AnsweredRequest {
  std::string method;
  std::optional<Sha256> fingerprint;  ///< of the request; none of one that an old version answered
  std::optional<JobId> job;           ///< that it made or changed; may have been deleted since

  bool operator==(const AnsweredRequest&) const = default;
};

/// An output that a job takes over from the one that it continues.
struct KeptOutput {
  BlobId output;
  Sha256 key;
  TaskId made_by;
};

struct NewJob {
  std::string request_id;
  domain::JobSpec spec;
  domain::JobPlan plan;
  std::string method = "SubmitJob";
  std::optional<Sha256> fingerprint = std::nullopt;
  std::optional<JobId> retry_of = std::nullopt;
  std::map<std::string, KeptOutput> kept = {};  ///< by label of the task
  /// What is told, as NoteEvent would, of those of its tasks that are not kept, by label.
  std::map<std::string, std::string> notes = {};
  std::string submitted_by = {};  ///< whose job it is; empty: nobody with a name
  std::string by = {};            ///< who asks for it: another, where somebody retries
};

/// A place in an order of jobs.
struct JobPosition {
  std::int64_t key = 0;  ///< the end's time, or the priority, where the order goes by that
  JobId id;
};

/// Jobs to which everything applies that is given.
struct JobFilter {
  std::optional<JobPosition> after;      ///< only those that come after it in the order
  std::vector<domain::JobState> states;  ///< empty: all
  std::int64_t limit = 50;
  domain::JobOrder order = domain::JobOrder::kNewest;
  std::vector<domain::JobKind> kinds = {};
  std::string project = {};
  std::map<std::string, std::string> labels = {};  ///< all of these; an empty value: any
  std::string name_prefix = {};
  std::int64_t created_from_ms = 0;
  std::int64_t created_before_ms = 0;  ///< 0: no limit
  std::string submitted_by = {};       ///< empty: all
};

/// A task with what it was asked to do and how it came by its result.
struct TaskRecord {
  domain::TaskView view;
  JobId job;
  domain::TaskSpec spec;
  std::vector<domain::TaskInput> inputs;
  std::map<std::string, BlobId> trees;  ///< of the inputs that are known
  std::optional<Sha256> key;            ///< as soon as all are
  bool use_cache = true;
  bool kept = false;              ///< the output is that of the job that this one continues
  std::optional<TaskId> made_by;  ///< whose attempt made the output, when another's did
  std::optional<TaskId> joined;   ///< runs the same action
  std::vector<domain::Requirement> requirements;
  std::string toolchain_version;  ///< of the worker of the last attempt

  bool operator==(const TaskRecord&) const = default;
};

/// What an attempt that succeeded has made.
struct Completed {
  BlobId output;
  std::int64_t bytes = 0;         ///< of its files
  std::string toolchain_version;  ///< of who made it
  /// Of the lease's action with that version, where the caller knows it: it is not found out again.
  std::optional<Sha256> key = std::nullopt;
  domain::Resources used = {};  ///< at most, by the attempt
};

/// What an attempt has shown of tasks like its own.
struct SeenAttempt {
  sched::SizeClass size;
  sched::SeenRun run;

  bool operator==(const SeenAttempt&) const = default;
};

/// A task that some worker holds.
struct HeldTask {
  AttemptId id;
  JobId job;
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  domain::TaskState state = domain::TaskState::kLeased;  ///< or kCancelling
  WorkerSession holder;
  sched::Spent spent;
  std::int64_t started_unix_ms = 0;

  bool operator==(const HeldTask&) const = default;
};

/// Everything that a worker needs to run an attempt.
struct Lease {
  AttemptId id;
  JobId job;
  std::string label;
  domain::TaskSpec spec;
  std::map<std::string, BlobId> inputs;
  std::optional<domain::Checkpoint> checkpoint = std::nullopt;  ///< to go on from

  bool operator==(const Lease&) const = default;
};

/// An attempt whose log can be asked for.
struct LogOwner {
  JobId job;
  domain::Attempt attempt = 0;
  bool ended = false;
};

/// A queued task whose result exists already.
struct CacheHit {
  TaskId task;
  JobId job;
  Sha256 key;
  BlobId output;
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  bool waited = false;  ///< the result was made while the task was queued

  bool operator==(const CacheHit&) const = default;
};

/// Which of them are asked for.
struct HitFilter {
  std::int64_t limit = 0;
  std::optional<JobId> job = {};  ///< only tasks of this one
  std::set<Sha256> without = {};  ///< not these actions
};

/// Some results, looked at in the order in which they were first there.
struct ResultsLookedAt {
  std::optional<std::int64_t> last;  ///< number of the last; absent: there is none any more
  std::int64_t fit = 0;
  std::int64_t unknown = 0;  ///< might fit, had their job not been deleted

  bool operator==(const ResultsLookedAt&) const = default;
};

/// What there is to do.
struct TaskCounts {
  std::map<domain::TaskState, std::int64_t> by_state;  ///< of jobs that have not ended
  /// Since when the oldest queued task of a class is due; none of one without.
  std::map<domain::JobClass, std::int64_t> oldest_due_ms;
};

/// A job that has come to its end.
struct EndedJob {
  domain::JobKind kind = domain::JobKind::kPipeline;
  domain::JobState state = domain::JobState::kSucceeded;
  std::optional<domain::Blame> blame = {};  ///< of one that failed

  bool operator==(const EndedJob&) const = default;
};

/// A project with what it has had and has.
struct ProjectRecord {
  domain::Project project;
  double used_seconds = 0;  ///< device-seconds of attempts that ended, decayed to used_at_ms
  std::int64_t used_at_ms = 0;
  double total_seconds = 0;       ///< the same without decay
  std::int64_t stored_bytes = 0;  ///< of the trees of its jobs, each tree once
  std::int64_t queued_jobs = 0;   ///< that have not ended

  bool operator==(const ProjectRecord&) const = default;
};

/// A task that has not begun, with what its waiting depends on.
struct PendingRecord {
  TaskId id;
  domain::TaskState state = domain::TaskState::kQueued;  ///< or kWaiting
  std::int64_t lane = 0;
  sched::LaneKey lane_key;
  std::vector<std::string> waits_for;  ///< labels of tasks whose outputs are missing
  std::optional<TaskId> joined;        ///< runs the same action
  std::int64_t not_before_ms = 0;

  bool operator==(const PendingRecord&) const = default;
};

/// Workers as they are remembered.
struct WorkerRecord {
  std::string name;
  std::string session;  ///< the last one
  domain::Capabilities capabilities;
  domain::ModeOrder order;
  std::int64_t last_seen_unix_ms = 0;

  bool operator==(const WorkerRecord&) const = default;
};

}  // namespace tyllm::server::store
