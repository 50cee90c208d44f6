// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/store/database.h"
#include "server/store/queue.h"

// Table actions: outputs by action key.
namespace tyllm::server::store::actions {

/// Replaces what was there.
Status Put(Database& db, const Sha256& key, const BlobId& output, TaskId task, std::int64_t now);
Status Remove(Database& db, const Sha256& key);

}  // namespace tyllm::server::store::actions
