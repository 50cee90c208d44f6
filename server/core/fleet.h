// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/worker_sync.h"
#include "server/sched/placement.h"

namespace tyllm::server::core {

/// Workers that called since the server started.
class Fleet {
 public:
  struct Member {
    std::string session;
    std::shared_ptr<const sched::WorkerState> state;  ///< what it is and has, as of its last call
    int free_slots = 0;                               ///< as of its last answer
    domain::ModeOrder order;                          ///< of a person
    bool draining = false;                            ///< says the worker
    std::int64_t calls = 0;
    Clock::Steady seen;
    std::int64_t seen_unix_ms = 0;
  };

  Member& At(const std::string& worker) { return members_[worker]; }

  const Member* Find(const std::string& worker) const;
  /// Workers that were seen after `since`, by name.
  std::vector<sched::Online> OnlineSince(Clock::Steady since) const;
  /// Of the largest GPU of any of them; 0 without one.
  std::int64_t LargestGpuMemory() const;

 private:
  std::map<std::string, Member> members_;
};

}  // namespace tyllm::server::core
