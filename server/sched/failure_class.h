// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/enum_table.h"
#include "common/domain/failure.h"
#include "server/sched/ending.h"

namespace tyllm::server::sched {

/// What can be done about an attempt that ended without result.
enum class FailureClass : std::uint8_t {
  kPermanent,  ///< the request or the model: the same again
  kGpuMemory,  ///< a matter of size
  kMachine,    ///< the worker's memory, disk or installation
  kToolchain,  ///< a crash or a failed check, which may have been chance
  kTooSlow,    ///< stuck or late
  kFarm,       ///< the server's storage or network
  kLost,       ///< the worker is gone
  kReturned,   ///< handed back
};

inline constexpr EnumTable<FailureClass, 8> kFailureClassNames(
    "failure class", {{{FailureClass::kPermanent, "permanent"},
                       {FailureClass::kGpuMemory, "gpu_memory"},
                       {FailureClass::kMachine, "machine"},
                       {FailureClass::kToolchain, "toolchain"},
                       {FailureClass::kTooSlow, "too_slow"},
                       {FailureClass::kFarm, "farm"},
                       {FailureClass::kLost, "lost"},
                       {FailureClass::kReturned, "returned"}}});

constexpr const auto& NamesOf(FailureClass) {
  return kFailureClassNames;
}

/// Which budget an attempt is taken from.
enum class Budget : std::uint8_t { kNone, kFailures, kLosses };

/// What is done about a class. The wait doubles with every attempt that counted.
struct ClassRule {
  FailureClass failure_class;
  bool again;
  Budget budget;
  Milliseconds first_wait;
};

/// The one table of it.
inline constexpr std::array kClassRules{
    ClassRule{FailureClass::kPermanent, false, Budget::kFailures, Milliseconds(0)},
    ClassRule{FailureClass::kGpuMemory, true, Budget::kNone, Milliseconds(0)},
    ClassRule{FailureClass::kMachine, true, Budget::kFailures, Milliseconds(10'000)},
    ClassRule{FailureClass::kToolchain, true, Budget::kFailures, Milliseconds(5'000)},
    ClassRule{FailureClass::kTooSlow, true, Budget::kFailures, Milliseconds(5'000)},
    ClassRule{FailureClass::kFarm, true, Budget::kFailures, Milliseconds(30'000)},
    ClassRule{FailureClass::kLost, true, Budget::kLosses, Milliseconds(0)},
    ClassRule{FailureClass::kReturned, true, Budget::kNone, Milliseconds(0)},
};

constexpr const ClassRule& RuleOf(FailureClass failure_class) {
  return kClassRules[static_cast<std::size_t>(failure_class)];
}

/// The class of what a worker reported, or, for endings that the server noticed, of those. Not for
/// kSucceeded and kStopped.
FailureClass ClassOf(Ending ending, const domain::Failure& failure);

}  // namespace tyllm::server::sched
