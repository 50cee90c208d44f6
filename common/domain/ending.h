// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/enum_table.h"

namespace tyllm::domain {

/// How an attempt ended. Stored as the integer.
enum class Ending : std::uint8_t {
  kSucceeded,
  kFailed,     ///< the worker reports a failure
  kLeaseLost,  ///< the worker is gone
  kStalled,    ///< the worker is there, the attempt is stuck
  kDeadline,   ///< the attempt took too long in all
  kReturned,   ///< the worker drains and hands it back; costs nothing
  kStopped,    ///< cancelled
};

inline constexpr EnumTable<Ending, 7> kEndingNames("ending", {{{Ending::kSucceeded, "succeeded"},
                                                               {Ending::kFailed, "failed"},
                                                               {Ending::kLeaseLost, "lease_lost"},
                                                               {Ending::kStalled, "stalled"},
                                                               {Ending::kDeadline, "deadline"},
                                                               {Ending::kReturned, "returned"},
                                                               {Ending::kStopped, "stopped"}}});

constexpr const auto& NamesOf(Ending) {
  return kEndingNames;
}

}  // namespace tyllm::domain
