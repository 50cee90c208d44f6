// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "common/domain/checkpoint.h"
#include "server/store/database.h"
#include "server/store/queue.h"
#include "server/store/tasks.h"

// Table checkpoints: unfinished work by action key.
namespace tyllm::server::store::checkpoints {

/// Replaces what was there.
Status Put(Database& db, const tasks::Row& task, const domain::Checkpoint& checkpoint,
           std::int64_t now);
/// What the task's next attempt may go on from. A task that does not use the cache gets only its
/// own.
Result<std::optional<domain::Checkpoint>> Find(Database& db, const tasks::Row& task);
/// Nothing happens when there is none.
Status Remove(Database& db, const tasks::Row& task);
Status Remove(Database& db, const Sha256& key);
/// Those last written before, except of tasks that are queued or running; how many.
Result<std::int64_t> RemoveOld(const Ground& ground, std::int64_t before);

}  // namespace tyllm::server::store::checkpoints
