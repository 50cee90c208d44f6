// SPDX-License-Identifier: Apache-2.0
#include "server/core/read_log.h"

namespace tyllm::server::core {

namespace {

constexpr std::int64_t kChunk = 256 << 10;

// The end is known to be the end only when the attempt had ended before the bytes were read.
boost::asio::awaitable<Result<domain::LogChunk>> ReadOnce(Farm& farm, LogPosition position) {
  TYLLM_CO_ASSIGN(const store::LogOwner owner,
                  co_await farm.parts.store.Look([&](store::Queue& queue) {
                    return queue.FindLog(position.task, position.attempt);
                  }));
  domain::LogChunk chunk{.attempt = owner.attempt, .offset = position.offset, .data = {}};
  if (owner.attempt > 0) {
    TYLLM_CO_ASSIGN(chunk.data, co_await farm.parts.logs.Read({position.task, owner.attempt},
                                                              position.offset, kChunk));
  }
  chunk.ended = owner.ended && static_cast<std::int64_t>(chunk.data.size()) < kChunk;
  co_return chunk;
}

}  // namespace

boost::asio::awaitable<Result<domain::LogChunk>> ReadLog(Farm& farm, LogPosition position,
                                                         Milliseconds wait) {
  if (position.offset < 0 || position.attempt < 0) {
    co_return InvalidArgument("offset is " + std::to_string(position.offset) + " and attempt " +
                              std::to_string(position.attempt) + ", expected 0 or more");
  }
  Signals::Subscription changes(farm.signals, Topic::LogOf(position.task));
  const Clock::Steady until = farm.parts.clock.Now() + wait;
  while (true) {
    Result<domain::LogChunk> chunk = co_await ReadOnce(farm, position);
    const auto left = std::chrono::duration_cast<Milliseconds>(until - farm.parts.clock.Now());
    if (!chunk.ok() || chunk->ended || !chunk->data.empty() || left.count() <= 0) {
      co_return chunk;
    }
    if (!co_await changes.Wait(left)) {
      co_return chunk;
    }
  }
}

}  // namespace tyllm::server::core
