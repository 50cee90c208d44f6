// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table attempts: who ran what when, and how it ended.
namespace tyllm::server::store::attempts {

Status Insert(Database& db, const AttemptId& id, const WorkerSession& holder, std::int64_t now);
Status SetSession(Database& db, const AttemptId& id, const std::string& session);
Status End(Database& db, const AttemptId& id, sched::Ending ending, std::int64_t now);
/// kNotFound when there was no such attempt.
Result<bool> HasEnded(Database& db, const AttemptId& id);

}  // namespace tyllm::server::store::attempts
