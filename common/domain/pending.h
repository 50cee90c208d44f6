// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/ids.h"
#include "common/domain/matching.h"

namespace tyllm::domain {

/// Why a task that has not ended does not run.
enum class PendingReason : std::uint8_t {
  kInputs,    ///< tasks that make its inputs have not succeeded
  kBackoff,   ///< its last attempt failed: not before not_before_unix_ms
  kJoined,    ///< another task runs the same action; its result will be used
  kNoWorker,  ///< no worker that is here could ever take it: see shortfalls
  kBusy,      ///< workers that could take it are busy
  kTurn,      ///< others are served first: projects by shares, then priority, then age
  kQuota,     ///< its project runs as much as it may at a time
  kCordoned,  ///< workers that could take it are cordoned or drain
  kStarting,  ///< due; the next call of a free worker gets it
};

inline constexpr EnumTable<PendingReason, 9> kPendingReasonNames(
    "pending reason", {{{PendingReason::kInputs, "inputs"},
                        {PendingReason::kBackoff, "backoff"},
                        {PendingReason::kJoined, "joined"},
                        {PendingReason::kNoWorker, "no_worker"},
                        {PendingReason::kBusy, "busy"},
                        {PendingReason::kTurn, "turn"},
                        {PendingReason::kQuota, "quota"},
                        {PendingReason::kCordoned, "cordoned"},
                        {PendingReason::kStarting, "starting"}}});

constexpr const auto& NamesOf(PendingReason) {
  return kPendingReasonNames;
}

struct Pending {
  PendingReason reason = PendingReason::kStarting;
  std::string message;                ///< for people, with the numbers
  std::int64_t position = 0;          ///< tasks that are served before it
  std::int32_t eligible_workers = 0;  ///< online and able to take it, busy or not
  std::int32_t free_workers = 0;      ///< of those, with a free slot
  std::vector<Shortfall> shortfalls;
  std::optional<TaskId> joined;
  std::int64_t not_before_unix_ms = 0;
  std::int64_t expected_wait_ms = -1;  ///< -1: nothing to tell from

  bool operator==(const Pending&) const = default;
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Pending> {
  using P = tyllm::domain::Pending;
  static constexpr auto kTable = std::tuple{
      Member{"reason", &P::reason},
      Member{"message", &P::message},
      Member{"position", &P::position},
      Member{"eligible_workers", &P::eligible_workers},
      Member{"free_workers", &P::free_workers},
      Member{"shortfalls", &P::shortfalls},
      Member{"joined", &P::joined},
      Member{"not_before_unix_ms", &P::not_before_unix_ms},
      Member{"expected_wait_ms", &P::expected_wait_ms},
  };
};
