// SPDX-License-Identifier: Apache-2.0
#include "server/core/checkpoints.h"

#include "server/core/trees.h"

namespace tyllm::server::core {

namespace {

constexpr std::chrono::hours kSweepInterval{1};

}  // namespace

boost::asio::awaitable<Status> KeepCheckpoint(Farm& farm, domain::HeldAttempt held) {
  if (!held.checkpoint || !farm.attempts.IsNewCheckpoint(held.id, *held.checkpoint)) {
    co_return OkStatus();
  }
  const Result<TreeCheck> check = co_await CheckTree(farm, held.checkpoint->tree);
  if (!check.ok() || !check->missing.empty()) {
    co_return OkStatus();
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Status kept = co_await farm.parts.store.Run(
      [&](store::Queue& queue) { return queue.KeepCheckpoint(held.id, *held.checkpoint, now); });
  if (kept.code() == StatusCode::kAborted) {
    co_return OkStatus();  // the attempt has ended meanwhile
  }
  TYLLM_CO_TRY(kept);
  farm.attempts.NoteCheckpoint(held.id, *held.checkpoint);
  co_return OkStatus();
}

boost::asio::awaitable<Status> ForgetOldCheckpoints(Farm& farm) {
  const Clock::Steady now = farm.parts.clock.Now();
  if (now - farm.checkpoints_swept < kSweepInterval) {
    co_return OkStatus();
  }
  farm.checkpoints_swept = now;
  const std::int64_t before =
      farm.parts.clock.UnixMillis() - farm.parts.limits.checkpoint_keep.count();
  co_return co_await farm.parts.store.Run(
      [&](store::Queue& queue) { return queue.ForgetCheckpoints(before).status(); });
}

}  // namespace tyllm::server::core
