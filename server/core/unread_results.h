// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>

#include "common/base/clock.h"
#include "common/base/digest.h"

namespace tyllm::server::core {

/// Results, by action key, that could not be looked at: the disk or its connection failed. Each is
/// left alone for a while, so that the others are used, and given up after a few tries, so that its
/// tasks run. One thread.
class UnreadResults {
 public:
  static constexpr int kTries = 3;
  static constexpr Milliseconds kPause{5000};

  /// It failed. True when that was the last try: it is no longer known here. One that rests has
  /// not been tried.
  bool Failed(const Sha256& key, Clock::Steady now);

  /// Those that are not to be tried yet.
  std::set<Sha256> Resting(Clock::Steady now) const;

 private:
  struct Unread {
    int tries = 0;
    Clock::Steady until{};  ///< rests
  };

  std::map<Sha256, Unread> unread_;
};

}  // namespace tyllm::server::core
