// SPDX-License-Identifier: Apache-2.0
#include "server/core/copy_queue.h"

namespace tyllm::server::core {

namespace {

/// 1 MiB at a time: a commit waits no longer than this takes.
constexpr int kPagesAtATime = 256;

}  // namespace

boost::asio::awaitable<Result<QueueCopy>> CopyQueue(Farm& farm) {
  QueueCopy copy;
  if (farm.parts.copies.empty()) {
    co_return Unimplemented("this server has no folder for copies");
  }
  TYLLM_CO_TRY(LocalFileSystem().CreateDirectories(farm.parts.copies));
  const std::string name = "queue-" + std::to_string(farm.parts.clock.UnixMillis()) + ".db";
  copy.path = farm.parts.copies / name;
  const Status begun = co_await farm.parts.store.RunAlone(
      [&](store::Queue& queue) { return queue.BeginCopy(copy.path); });
  TYLLM_CO_TRY(begun);
  bool done = false;
  while (!done) {
    const Result<bool> step = co_await farm.parts.store.RunAlone(
        [](store::Queue& queue) { return queue.CopySome(kPagesAtATime); });
    TYLLM_CO_TRY(step.status());
    done = *step;
  }
  TYLLM_CO_ASSIGN(copy.schema_version, co_await farm.parts.store.RunAlone([](store::Queue& queue) {
    return Result<std::int64_t>(queue.schema_version());
  }));
  copy.unix_ms = farm.parts.clock.UnixMillis();
  co_return copy;
}

}  // namespace tyllm::server::core
