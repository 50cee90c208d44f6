// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/domain/ending.h"
#include "common/domain/views.h"

// Why a job is as it is: cache keys, attempts, what the scheduler decided.
namespace tyllm::domain {

/// How a task came by its result, or will.
enum class CacheUse : std::uint8_t {
  kHit,     ///< the result was there
  kJoined,  ///< another task runs the same action
  kMiss,    ///< nobody has done it
  kOff,     ///< not asked: no_cache
  kKept,    ///< from the job that this one continues
};

inline constexpr EnumTable<CacheUse, 5> kCacheUseNames("use of the cache",
                                                       {{{CacheUse::kHit, "hit"},
                                                         {CacheUse::kJoined, "joined"},
                                                         {CacheUse::kMiss, "miss"},
                                                         {CacheUse::kOff, "off"},
                                                         {CacheUse::kKept, "kept"}}});

constexpr const auto& NamesOf(CacheUse) {
  return kCacheUseNames;
}

struct AttemptRecord {
  Attempt attempt = 0;
  std::string worker;
  std::string session;
  std::int64_t started_unix_ms = 0;
  std::int64_t ended_unix_ms = 0;
  std::optional<Ending> ending;  ///< none: it runs
  std::optional<Failure> failure;
  std::int64_t log_bytes = 0;
  bool counted = false;  ///< against the attempts that the task may fail or lose

  bool operator==(const AttemptRecord&) const = default;
};

/// Something that the scheduler decided about a task.
struct Decision {
  std::int64_t unix_ms = 0;
  std::string text;

  bool operator==(const Decision&) const = default;
};

struct TaskExplanation {
  TaskView task;
  std::vector<std::string> needs;        ///< labels of tasks whose outputs it takes
  std::map<std::string, BlobId> inputs;  ///< those that are known
  std::string action_key;                ///< hexadecimal; empty while an input is not known
  std::optional<CacheUse> cache;         ///< none: not known yet
  std::optional<TaskId> cache_task;      ///< of the result or the attempt that is used
  std::vector<Requirement> requirements;
  std::vector<AttemptRecord> attempts;  ///< oldest first
  std::vector<Decision> decisions;      ///< oldest first; the newest hundred

  bool operator==(const TaskExplanation&) const = default;
};

struct JobExplanation {
  JobView job;
  std::vector<TaskExplanation> tasks;  ///< in plan order

  bool operator==(const JobExplanation&) const = default;
};

/// What one task was asked to do, so that `tyllm task` can do it again elsewhere.
struct TaskDetail {
  TaskView task;
  JobId job;
  TaskSpec spec;
  std::map<std::string, BlobId> inputs;
  bool inputs_known = false;  ///< false: some come from tasks that have not succeeded
  std::string action_key;
  std::string toolchain_version;  ///< of the worker of the last attempt

  bool operator==(const TaskDetail&) const = default;
};

}  // namespace tyllm::domain
