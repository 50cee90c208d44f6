// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "common/base/enum_table.h"
#include "common/format/json.h"

namespace tyllm::domain {

/// Who has to do something about a failure.
enum class Blame : std::uint8_t {
  kUser,       ///< the request: options, missing or wrong inputs
  kModel,      ///< the model: NaN weights, shapes that cannot be split
  kToolchain,  ///< tyllm itself or the compiler it calls: a crash, a failed check of the output
  kWorker,     ///< the machine: lost, out of memory or disk
  kFarm,       ///< the server: storage, an internal error
};

inline constexpr EnumTable<Blame, 5> kBlameNames("blame", {{{Blame::kUser, "user"},
                                                            {Blame::kModel, "model"},
                                                            {Blame::kToolchain, "toolchain"},
                                                            {Blame::kWorker, "worker"},
                                                            {Blame::kFarm, "farm"}}});

constexpr const auto& NamesOf(Blame) {
  return kBlameNames;
}

/// What ran out when an attempt ended for want of memory.
enum class MemoryKind : std::uint8_t {
  kHost,
  kGpu,  ///< a matter of size: a bigger worker tries, and it costs the task nothing
};

inline constexpr EnumTable<MemoryKind, 2> kMemoryKindNames("memory kind",
                                                           {{{MemoryKind::kHost, "host"},
                                                             {MemoryKind::kGpu, "gpu"}}});

constexpr const auto& NamesOf(MemoryKind) {
  return kMemoryKindNames;
}

/// The reason of a failure for want of a tool (common/domain/tools.h): the worker's machine may be
/// well, it is only not for such tasks.
inline constexpr std::string_view kToolMissingReason = "TOOL_MISSING";

/// The reason of the failure of a job that was given up, as none of its tasks had begun in time.
inline constexpr std::string_view kNotStartedReason = "NOT_STARTED";

/// Why an attempt ended without result.
struct Failure {
  Blame blame = Blame::kToolchain;
  std::string reason;   ///< UPPER_SNAKE, for programs: "BAD_ARGUMENTS", "CRASHED", "LEASE_LOST",
                        ///< "OUT_OF_MEMORY", ...
  std::string message;  ///< for people: what happened
  std::string stage;    ///< the last stage that was reported
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  bool retryable = false;  ///< another attempt may succeed
  std::string log_tail;    ///< last lines of the log
  std::optional<MemoryKind> out_of_memory = std::nullopt;
  std::string action = {};     ///< for people: what to do about it
  std::string worker = {};     ///< where it happened, if on a worker
  std::int32_t attempt = 0;    ///< of the task, from 1
  std::int64_t log_bytes = 0;  ///< length of the attempt's log when it ended

  bool operator==(const Failure&) const = default;
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Failure> {
  using F = tyllm::domain::Failure;
  static constexpr auto kTable = std::tuple{
      Member{"blame", &F::blame},
      Member{"reason", &F::reason},
      Member{"message", &F::message},
      Member{"stage", &F::stage},
      Member{"exit_code", &F::exit_code},
      Member{"signal", &F::signal},
      Member{"retryable", &F::retryable},
      Member{"log_tail", &F::log_tail},
      Member{"out_of_memory", &F::out_of_memory},
      Member{"action", &F::action},
      Member{"worker", &F::worker},
      Member{"attempt", &F::attempt},
      Member{"log_bytes", &F::log_bytes},
  };
};
