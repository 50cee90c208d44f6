// SPDX-License-Identifier: Apache-2.0
#include "server/core/action_cache.h"

#include "server/core/trees.h"

namespace tyllm::server::core {

namespace {

constexpr std::int64_t kHitsAtATime = 64;

boost::asio::awaitable<Status> Use(Farm& farm, store::CacheHit hit) {
  const Result<TreeCheck> check = co_await CheckTree(farm, hit.output);
  const bool complete = check.ok() && check->missing.empty();
  if (!complete && (!check.ok() && check.status().code() != StatusCode::kInvalidArgument)) {
    co_return check.status();  // not known: neither use nor forget it
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Status status = co_await farm.parts.store.Run([&](store::Queue& queue) -> Status {
    if (!complete) {
      return queue.ForgetAction(hit.key);
    }
    TYLLM_TRY(queue.AddTree(hit.job, hit.output, BytesOf(check->tree)));
    return queue.SucceedFromCache(hit, now);
  });
  if (status.code() == StatusCode::kAborted) {
    co_return OkStatus();  // somebody else has used it
  }
  TYLLM_CO_TRY(status);
  if (complete) {
    using telemetry::Metric;
    farm.parts.metrics.Count(hit.waited ? Metric::kCacheMerged : Metric::kCacheHits,
                             {domain::kTaskKindNames.Name(hit.kind)});
  }
  farm.signals.Notify(Topic::Of(hit.job));
  farm.signals.Notify(Topic::LogOf(hit.task));
  co_return OkStatus();
}

}  // namespace

boost::asio::awaitable<Status> UseCachedResults(Farm& farm) {
  while (true) {
    TYLLM_CO_ASSIGN(const std::vector<store::CacheHit> hits,
                    co_await farm.parts.store.Run(
                        [](store::Queue& queue) { return queue.CacheHits(kHitsAtATime); }));
    if (hits.empty()) {
      co_return OkStatus();
    }
    for (const store::CacheHit& hit : hits) {
      TYLLM_CO_TRY(co_await Use(farm, hit));
    }
  }
}

}  // namespace tyllm::server::core
