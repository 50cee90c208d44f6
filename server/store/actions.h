// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "server/store/ground.h"
#include "server/store/queue.h"

// Table actions: outputs by action key.
namespace tyllm::server::store::actions {

/// Replaces what was there.
Status Put(const Ground& ground, const Sha256& key, const BlobId& output, TaskId task,
           std::int64_t now);
Status Remove(const Ground& ground, const Sha256& key);
/// It is used now.
Status Touch(const Ground& ground, const Sha256& key, std::int64_t now);
/// Those that were not made or used since, and that no queued task waits to use; how many.
Result<std::int64_t> RemoveOld(const Ground& ground, std::int64_t before, std::int64_t limit);

struct Entry {
  BlobId output;
  TaskId task;  ///< whose attempt made it
};

Result<std::optional<Entry>> Find(const Ground& ground, const Sha256& key);

}  // namespace tyllm::server::store::actions
