// SPDX-License-Identifier: Apache-2.0
#include "server/core/unread_results.h"

namespace tyllm::server::core {

bool UnreadResults::Failed(const Sha256& key, Clock::Steady now) {
  constexpr std::chrono::minutes kRemembered(10);
  std::erase_if(unread_, [&](const auto& one) { return one.second.until + kRemembered < now; });
  Unread& unread = unread_[key];
  if (now < unread.until) {
    return false;
  }
  ++unread.tries;
  unread.until = now + kPause;
  const bool last = unread.tries >= kTries;
  if (last) {
    unread_.erase(key);
  }
  return last;
}

std::set<Sha256> UnreadResults::Resting(Clock::Steady now) const {
  std::set<Sha256> resting;
  for (const auto& [key, unread] : unread_) {
    if (now < unread.until) {
      resting.insert(key);
    }
  }
  return resting;
}

}  // namespace tyllm::server::core
