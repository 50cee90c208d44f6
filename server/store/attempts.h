// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table attempts: who ran what when, and how it ended.
namespace tyllm::server::store::attempts {

Status Insert(Database& db, const AttemptId& id, const WorkerSession& holder,
              const sched::Reasons& why, std::int64_t now);
Status SetSession(Database& db, const AttemptId& id, const std::string& session);

/// What is kept of an attempt that has ended, besides when and how.
struct Remains {
  const domain::Failure* failure = nullptr;  ///< when it ended without result
  domain::Resources used = {};
  std::int64_t gpu_too_small = 0;  ///< bytes of the GPU that was
};

Status End(Database& db, const AttemptId& id, sched::Ending ending, std::int64_t now,
           const Remains& remains);
/// Oldest first.
Result<std::vector<domain::AttemptRecord>> Of(Database& db, TaskId task);
/// Why they were given to whom, of those of which it is known. Oldest first.
Result<std::vector<domain::Decision>> Given(Database& db, TaskId task);
/// Toolchain of the task's last attempt; empty before the first.
Result<std::string> LastToolchain(Database& db, TaskId task);
/// Queue::SeenAttempts.
Result<std::vector<SeenAttempt>> Seen(Database& db, std::int64_t limit);
/// kNotFound when there was no such attempt.
Result<bool> HasEnded(Database& db, const AttemptId& id);

}  // namespace tyllm::server::store::attempts
