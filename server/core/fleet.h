// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/worker_sync.h"

namespace tyllm::server::core {

/// Workers that called since the server started.
class Fleet {
 public:
  struct Member {
    std::string session;
    domain::Capabilities capabilities;
    domain::ModeOrder order;  ///< of a person
    bool draining = false;    ///< says the worker
    std::int64_t calls = 0;
    Clock::Steady seen;
    std::int64_t seen_unix_ms = 0;
  };

  Member& At(const std::string& worker) { return members_[worker]; }

  const Member* Find(const std::string& worker) const;
  /// Names of workers that were seen after `since` and take work, without `asking`.
  std::vector<std::string> TakingWork(Clock::Steady since, const std::string& asking) const;

 private:
  std::map<std::string, Member> members_;
};

}  // namespace tyllm::server::core
