// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/ids.h"
#include "common/domain/job.h"
#include "common/domain/matching.h"

// What would become of a job, and what a server can do.
namespace tyllm::domain {

inline constexpr std::string_view kInvalidArgumentReason = "INVALID_ARGUMENT";
inline constexpr std::string_view kMissingBlobsReason = "MISSING_BLOBS";
inline constexpr std::string_view kQuotaExceededReason = "QUOTA_EXCEEDED";
inline constexpr std::string_view kNoWorkerReason = "NO_WORKER";

/// The field that a message about a wrong request names: such messages begin with the path to it,
/// "compile: dies is 9, expected 1 to 4" gives "compile.dies". Empty when this one does not.
std::string FieldOf(std::string_view message);

/// The most that a job may have.
inline constexpr std::size_t kMostLabels = 64;
/// A job that has it, with any value, is not removed for its age.
inline constexpr std::string_view kKeepLabel = "keep";

/// One reason to refuse a job; NO_WORKER refuses only with refuse_if_no_worker: else the job would
/// wait.
struct Problem {
  std::string reason;
  std::string field;    ///< path from the request, where there is one: "spec.compile.dies"
  std::string message;  ///< for people
  std::vector<BlobId> missing;
  Status::Facts facts = {};  ///< numbers of the message

  bool operator==(const Problem&) const = default;
};

struct TaskForecast {
  std::string label;
  TaskKind kind = TaskKind::kQuantize;
  std::string action_key;  ///< hexadecimal; empty while an input is not known
  bool cached = false;     ///< its result is there
  std::optional<TaskId> joins;
  std::int32_t eligible_workers = 0;
  std::int32_t free_workers = 0;
  std::vector<Shortfall> shortfalls;  ///< why no worker that is here can take it
  std::int64_t expected_run_ms = -1;  ///< the median of late; -1: nothing to tell from
  std::int64_t expected_run_low_ms = -1;
  std::int64_t expected_run_high_ms = -1;
  Resources expected;  ///< the most that such tasks used of late; 0: not known

  bool operator==(const TaskForecast&) const = default;
};

struct Validation {
  std::vector<Problem> problems;
  std::vector<TaskForecast> tasks;
  std::int64_t expected_wait_ms = -1;  ///< until its first task that must run starts
  std::int64_t expected_run_ms = -1;   ///< of what must run, one worker a task
  std::int64_t expected_run_low_ms = -1;
  std::int64_t expected_run_high_ms = -1;

  bool operator==(const Validation&) const = default;
};

/// What a server speaks and how much it takes.
struct ServerCapabilities {
  std::string server_version;
  std::vector<std::string> api_versions;
  std::vector<std::string> features;
  std::vector<std::string> digest_functions;
  std::int64_t max_message_bytes = 0;
  std::int64_t max_piece_bytes = 0;
  std::int64_t max_spec_bytes = 0;
  std::int64_t max_tree_bytes = 0;
  std::int32_t max_page_size = 0;
  std::int64_t max_wait_ms = 0;
  std::int64_t request_id_ms = 0;
  std::int32_t max_labels = 0;
  std::optional<std::int64_t> queued_jobs_left;  ///< of the project's quota; absent: no limit
  std::optional<std::int64_t> stored_bytes_left;
  std::int64_t unix_ms = 0;
  std::string caller = {};  ///< the name by which who asks is known; empty: by none
  std::int64_t max_batch_bytes = 0;
  std::int64_t max_batched_blob_bytes = 0;
  std::int32_t max_batch_blobs = 0;

  bool operator==(const ServerCapabilities&) const = default;
};

}  // namespace tyllm::domain
