// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "server/store/ground.h"
#include "server/store/queue.h"
#include "server/store/tasks.h"

// An attempt from its start to its end: what Queue promises of the functions of these names.
namespace tyllm::server::store {

HeldTask ToHeld(const tasks::Row& row);
std::vector<HeldTask> AllToHeld(const std::vector<tasks::Row>& rows);
/// The attempt's row while the attempt is the task's current one and runs; else kAborted.
Result<tasks::Row> GetCurrent(Database& db, const AttemptId& id);
/// Nothing when it is over, or there is no such task.
Result<std::optional<HeldTask>> FindHeld(Database& db, const AttemptId& id);

Result<Lease> StartAttempt(const Ground& ground, TaskId task, const WorkerSession& worker,
                           std::int64_t now, const sched::Reasons& why);
/// The attempt goes on in another session of its worker.
Status Adopt(Database& db, const AttemptId& id, const std::string& session);
Result<Lease> GetLease(const Ground& ground, const AttemptId& id);
Status Succeed(const Ground& ground, const AttemptId& id, const BlobId& output,
               std::optional<Sha256> key, std::int64_t now);
Result<bool> Complete(const Ground& ground, const AttemptId& id, const Completed& made,
                      std::int64_t now);
Status SucceedFromCache(const Ground& ground, const CacheHit& hit, std::int64_t now);
Status EndAttempt(const Ground& ground, const AttemptId& id, sched::Ending ending,
                  const sched::Verdict& verdict, std::int64_t now);
Status EndCancelled(const Ground& ground, const AttemptId& id, std::int64_t now);
Status NoteEvent(const Ground& ground, TaskId task, const std::string& text, std::int64_t now);

}  // namespace tyllm::server::store
