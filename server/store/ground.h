// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "server/sched/policy.h"
#include "server/store/database.h"
#include "server/store/keys.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

/// What operations on the queue's tables stand on.
struct Ground {
  Database& db;
  Keys& keys;                     ///< of the same connection
  std::string toolchain_version;  ///< goes into action keys
  sched::Fairness fairness;       ///< how use is counted
  std::vector<EndedJob>& ended;   ///< by the transaction so far; operations add to it
};

}  // namespace tyllm::server::store
