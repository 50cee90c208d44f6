// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table attempts: who ran what when, and how it ended.
namespace tyllm::server::store::attempts {

Status Insert(Database& db, const AttemptId& id, const WorkerSession& holder, std::int64_t now);
Status SetSession(Database& db, const AttemptId& id, const std::string& session);
/// `failure` when it ended without result.
Status End(Database& db, const AttemptId& id, sched::Ending ending, std::int64_t now,
           const domain::Failure* failure = nullptr);
/// Oldest first.
Result<std::vector<domain::AttemptRecord>> Of(Database& db, TaskId task);
/// Toolchain of the task's last attempt; empty before the first.
Result<std::string> LastToolchain(Database& db, TaskId task);
/// Median time of the last attempts that succeeded, by kind of task.
Result<std::map<domain::TaskKind, std::int64_t>> UsualRuns(Database& db);
/// kNotFound when there was no such attempt.
Result<bool> HasEnded(Database& db, const AttemptId& id);

}  // namespace tyllm::server::store::attempts
