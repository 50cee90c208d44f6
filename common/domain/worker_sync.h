// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/checkpoint.h"
#include "common/domain/failure.h"
#include "common/domain/ids.h"
#include "common/domain/job.h"
#include "common/domain/matching.h"
#include "common/domain/progress.h"
#include "common/domain/stages.h"
#include "common/domain/worker_mode.h"
#include "common/format/json.h"

// What a worker's agent and the server say to each other (workers.proto), as plain data.
namespace tyllm::domain {

struct Capabilities {
  std::string device = "cpu";  ///< "cpu", "cuda"
  std::int64_t memory_bytes = 0;
  std::int64_t disk_free_bytes = 0;
  std::int32_t cpus = 0;
  std::int32_t slots = 1;  ///< tasks at a time
  std::string toolchain_version;
  std::map<std::string, std::string> labels;
  std::int64_t gpu_memory_bytes = 0;  ///< of the largest GPU; 0: none
  std::int32_t gpus = 0;
  std::string gpu;               ///< the largest GPU's name
  std::int32_t dies = 0;         ///< the most of an artifact that it can make; 0: any number
  std::vector<TaskKind> kinds;   ///< that it takes; empty: all
  std::int64_t cache_bytes = 0;  ///< limit of its local cache of trees
  /// What it can make and read (common/domain/tools.h), with versions.
  std::map<std::string, std::string> tools = {};

  bool operator==(const Capabilities&) const = default;
};

/// A worker whose own machine failed one task after another: it gets one at a time, to try it,
/// until one succeeds.
struct Bench {
  std::int32_t failures = 0;       ///< in a row
  std::string reason;              ///< of the last, as in Failure
  std::int64_t until_unix_ms = 0;  ///< nothing before that

  bool operator==(const Bench&) const = default;
};

struct WorkerView {
  std::string name;
  Capabilities capabilities;
  bool online = false;  ///< called within the time of two leases
  ModeOrder order;
  std::int64_t last_seen_unix_ms = 0;
  std::vector<TaskId> tasks;  ///< that it holds
  std::string session;        ///< of the process that called last
  std::optional<Bench> bench = {};

  bool operator==(const WorkerView&) const = default;
};

/// Which workers to list: those to which everything applies that is given.
struct WorkerQuery {
  std::int64_t page_size = 0;  ///< at most 1000, which is also what 0 means
  std::string page_token;      ///< from the last page; empty: the first
  bool online_only = false;
  std::vector<WorkerMode> modes;              ///< one of these; empty: all
  std::map<std::string, std::string> labels;  ///< all of these; an empty value: any

  bool operator==(const WorkerQuery&) const = default;
};

struct WorkerPage {
  std::vector<WorkerView> workers;
  std::string next_page_token;
};

/// The fence: whatever is said of another attempt than the task's current one is refused.
struct AttemptId {
  TaskId task;
  Attempt attempt = 0;
  auto operator<=>(const AttemptId&) const = default;

  /// "t7 attempt 2".
  std::string ToString() const { return task.ToString() + " attempt " + std::to_string(attempt); }
};

/// One process of a worker: its name, chosen by the operator and unique in the farm, and a text
/// that is new for every process.
struct WorkerSession {
  std::string worker;
  std::string session;

  bool operator==(const WorkerSession&) const = default;
};

struct Running {
  bool operator==(const Running&) const = default;
};

struct Succeeded {
  BlobId output;  ///< tree; every blob of it is uploaded
  bool operator==(const Succeeded&) const = default;
};

/// Ended because the server asked for it, or because the worker drains.
struct Stopped {
  bool operator==(const Stopped&) const = default;
};

using Outcome = std::variant<Running, Succeeded, Failure, Stopped>;

/// An attempt that the worker runs, or has finished and not yet had acknowledged.
struct HeldAttempt {
  AttemptId id;
  Progress progress;
  std::int64_t log_bytes = 0;  ///< written so far by the child
  Outcome outcome;
  std::optional<Checkpoint> checkpoint;  ///< the newest that is uploaded whole
  Resources used;                        ///< most so far
  std::vector<StageTime> stages = {};    ///< that it went through; told with the outcome
  bool sending = false;  ///< its work is done, and its output is on its way: takes no slot
};

struct SyncRequest {
  WorkerSession from;
  Capabilities capabilities;
  std::vector<HeldAttempt> held;
  bool draining = false;             ///< give me nothing new
  std::int64_t wait_ms = 0;          ///< how long to hold the call when there is nothing to do
  std::vector<BlobId> cached_trees;  ///< in the local cache, used last first; at most 256
};

struct Assignment {
  AttemptId id;
  std::string label;
  TaskSpec spec;
  std::map<std::string, BlobId> inputs;  ///< input name -> tree
  std::int64_t lease_ms = 0;             ///< from SyncReply::held_ms after the call was sent
  std::int64_t deadline_ms = 0;          ///< for the whole attempt
  std::int64_t stall_ms = 0;             ///< without any change of its progress
  std::optional<Checkpoint> checkpoint;  ///< of an earlier attempt: go on from it
  Resources resources;                   ///< what the task is expected to use

  bool operator==(const Assignment&) const = default;
};

struct SyncReply {
  std::vector<Assignment> start;  ///< new ones, and those that the worker does not list
  std::vector<TaskId> stop;       ///< cancelled or fenced: end the attempt; its log is not wanted
                                  ///< any more when it is also in `acknowledged`
  std::vector<TaskId> acknowledged;  ///< the outcome is recorded, or comes too late to matter:
                                     ///< forget the attempt
  std::int64_t lease_ms = 0;
  std::int64_t next_sync_ms = 0;
  ModeOrder order;  ///< what a person asked of this worker
  /// How long the call had been held when the leases of `start` began: they count from so much
  /// after the worker sent it. 0 when the call listed attempts.
  std::int64_t held_ms = 0;
};

struct LogAppend {
  AttemptId id;
  WorkerSession from;
  std::int64_t offset = 0;
  std::string data;  ///< at most 1 MiB
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Capabilities> {
  using C = tyllm::domain::Capabilities;
  static constexpr auto kTable = std::tuple{
      Member{"device", &C::device},
      Member{"memory_bytes", &C::memory_bytes},
      Member{"disk_free_bytes", &C::disk_free_bytes},
      Member{"cpus", &C::cpus},
      Member{"slots", &C::slots},
      Member{"toolchain_version", &C::toolchain_version},
      Member{"labels", &C::labels},
      Member{"gpu_memory_bytes", &C::gpu_memory_bytes},
      Member{"gpus", &C::gpus},
      Member{"gpu", &C::gpu},
      Member{"dies", &C::dies},
      Member{"kinds", &C::kinds},
      Member{"cache_bytes", &C::cache_bytes},
      Member{"tools", &C::tools},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::ModeOrder> {
  using O = tyllm::domain::ModeOrder;
  static constexpr auto kTable =
      std::tuple{Member{"mode", &O::mode}, Member{"reason", &O::reason}, Member{"by", &O::by}};
};
