// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "server/store/ground.h"

// Column tasks.waits: of queued tasks that may use the cache, at most one of an action and a lane
// is to be looked at, the first. It waits for no other, unless the action is run and has no result;
// all others wait for it. So a claim meets one row of an action however many tasks want it, and
// what changes with the first is that the next takes its place
// (docs/adr/0152-of-one-action-the-first-is-looked-at.md).
namespace tyllm::server::store::waiting {

/// Makes that true again of one action, in every lane. To be called when a task of it was queued,
/// is not any more, changed its place or lane, is run or is not any more, or a result came or went;
/// the keys know of that already. Nothing is read where the action is one task's.
Status Renew(const Ground& ground, const Sha256& key);

/// The first task of another job than `job` that waits for who runs the action.
Result<std::optional<TaskId>> FindFirst(const Ground& ground, const Sha256& key, JobId job);

}  // namespace tyllm::server::store::waiting
