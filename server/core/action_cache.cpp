// SPDX-License-Identifier: Apache-2.0
#include "server/core/action_cache.h"

#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/this_coro.hpp>

#include "server/core/trees.h"
#include "server/core/trouble_log.h"

namespace tyllm::server::core {

namespace {

using boost::asio::awaitable;
using store::CacheHit;
using Hits = std::span<const CacheHit>;

/// Of one transaction: who waits for a commit meanwhile waits no longer than these take.
constexpr std::int64_t kHitsAtATime = 64;

/// What is known of the results of some hits.
struct Looked {
  std::map<BlobId, std::int64_t> whole;  ///< bytes of the files of trees that are there
  std::set<Sha256> forget;               ///< actions whose result is not there, or given up
};

// Bytes of the tree's files; kNotFound when something of it is not there any more.
awaitable<Result<std::int64_t>> BytesOfWhole(Farm& farm, BlobId tree, WholeTrees& seen) {
  const Clock::Steady now = farm.parts.clock.Now();
  if (const auto known = seen.Find(tree, now)) {
    co_return known->bytes;
  }
  const Result<TreeCheck> check = co_await CheckTree(farm, tree);
  const StatusCode code = check.status().code();
  if (code == StatusCode::kInvalidArgument || code == StatusCode::kDataLoss) {
    co_return NotFound("tree " + tree.ToString() +
                       " is not what it was: " + check.status().message());
  }
  TYLLM_CO_TRY(check.status());
  if (!check->missing.empty()) {
    co_return NotFound("of tree " + tree.ToString() + " the server does not have " +
                       NameSome(check->missing));
  }
  const std::int64_t bytes = BytesOf(check->tree);
  seen.Note(tree, {.bytes = bytes, .files = check->tree.entries.size()}, now);
  co_return bytes;
}

void Tell(Farm& farm, const CacheHit& hit, const Status& why, bool forgotten) {
  if (farm.parts.log != nullptr) {
    farm.parts.log->Warning(forgotten ? "a result is forgotten, and its tasks run"
                                      : "a result cannot be used yet; it is tried again",
                            {{"job", hit.job.ToString()}, {"why", why.ToString()}});
  }
}

void NoteFailed(Farm& farm, const CacheHit& hit, const Status& why, Looked& looked) {
  const bool is_gone = why.code() == StatusCode::kNotFound;
  const bool forget = is_gone || farm.unread_results.Failed(hit.key, farm.parts.clock.Now());
  if (forget) {
    looked.forget.insert(hit.key);
  }
  Tell(farm, hit, why, forget);
}

// At each tree and each action once.
awaitable<Looked> LookAt(Farm& farm, Hits hits, WholeTrees& seen) {
  Looked looked;
  std::set<Sha256> keys;
  for (const CacheHit& hit : hits) {
    if (!keys.insert(hit.key).second) {
      continue;
    }
    const Result<std::int64_t> bytes = co_await BytesOfWhole(farm, hit.output, seen);
    if (bytes.ok()) {
      looked.whole[hit.output] = *bytes;
    } else {
      NoteFailed(farm, hit, bytes.status(), looked);
    }
  }
  co_return looked;
}

// Those of them that succeed: others were used, or cancelled, meanwhile.
Status UseThese(store::Queue& queue, Hits hits, const Looked& looked, std::int64_t now,
                std::vector<CacheHit>& used) {
  for (const CacheHit& hit : hits) {
    const auto whole = looked.whole.find(hit.output);
    if (whole == looked.whole.end() || looked.forget.contains(hit.key)) {
      continue;
    }
    const Status status = queue.SucceedFromCache(hit, now);
    if (status.code() == StatusCode::kAborted || status.code() == StatusCode::kNotFound) {
      continue;
    }
    TYLLM_TRY(status);
    TYLLM_TRY(queue.AddTree(hit.job, hit.output, whole->second));
    used.push_back(hit);
  }
  return OkStatus();
}

// What succeeded. Each task that does makes a hit of the next that waits for the same action: those
// that `which` asks for follow in the same transaction, as many as it takes.
Result<std::vector<CacheHit>> Record(store::Queue& queue, const std::vector<CacheHit>& first,
                                     store::HitFilter which, const Looked& looked,
                                     std::int64_t now) {
  for (const Sha256& key : looked.forget) {
    TYLLM_TRY(queue.ForgetAction(key));
  }
  std::vector<CacheHit> used;
  std::vector<CacheHit> hits = first;
  const auto most = static_cast<std::size_t>(which.limit);
  while (!hits.empty()) {
    const std::size_t before = used.size();
    TYLLM_TRY(UseThese(queue, hits, looked, now, used));
    if (used.size() == before || used.size() >= most) {
      break;
    }
    which.limit = static_cast<std::int64_t>(most - used.size());
    TYLLM_ASSIGN(hits, queue.CacheHits(which));
  }
  return used;
}

awaitable<Status> Settle(Farm& farm, const std::vector<CacheHit>& hits,
                         const store::HitFilter& which, const Looked& looked) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_ASSIGN(const std::vector<CacheHit> used,
                  co_await farm.parts.store.Run([&](store::Queue& queue) {
                    return Record(queue, hits, which, looked, now);
                  }));
  for (const CacheHit& hit : used) {
    using telemetry::Metric;
    farm.parts.metrics.Count(hit.waited ? Metric::kCacheMerged : Metric::kCacheHits,
                             {domain::kTaskKindNames.Name(hit.kind)});
    farm.signals.Notify(Topic::Of(hit.job));
    farm.signals.Notify(Topic::LogOf(hit.task));
  }
  co_return OkStatus();
}

// The storage refuses everything, not what was asked of it.
bool IsStoreTrouble(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kResourceExhausted;
}

// In one transaction; in one each where one of them spoils it for the others.
awaitable<Status> SettleAll(Farm& farm, const std::vector<CacheHit>& hits,
                            const store::HitFilter& which, const Looked& looked) {
  const Status all = co_await Settle(farm, hits, which, looked);
  if (all.ok() || IsStoreTrouble(all)) {
    co_return all;
  }
  const store::HitFilter alone{.limit = 1};
  for (const CacheHit& hit : hits) {
    const Status one = co_await Settle(farm, std::vector(1, hit), alone, looked);
    if (IsStoreTrouble(one)) {
      co_return one;
    }
    if (!one.ok()) {
      Looked failed;
      NoteFailed(farm, hit, one, failed);
      TYLLM_CO_TRY(co_await Settle(farm, {}, alone, failed));
    }
  }
  co_return OkStatus();
}

awaitable<Status> UseResults(Farm& farm, store::HitFilter which) {
  WholeTrees seen;
  std::vector<CacheHit> last;
  while (!farm.stopping()) {
    which.without = farm.unread_results.Resting(farm.parts.clock.Now());
    TYLLM_CO_ASSIGN(
        const std::vector<CacheHit> hits,
        co_await farm.parts.store.Run([&](store::Queue& queue) { return queue.CacheHits(which); }));
    if (hits.empty() || hits == last) {  // nothing came of those: not again before it is asked for
      break;
    }
    const Looked looked = co_await LookAt(farm, hits, seen);
    TYLLM_CO_TRY(co_await SettleAll(farm, hits, which, looked));
    last = hits;
  }
  if (!last.empty()) {
    farm.signals.Notify(Topic::Work());  // what depends on them, or runs now
  }
  co_return OkStatus();
}

}  // namespace

awaitable<Status> UseCachedResults(Farm& farm) {
  co_return co_await UseResults(farm, {.limit = kHitsAtATime});
}

awaitable<Status> UseResultsOf(Farm& farm, domain::JobId job) {
  co_return co_await UseResults(farm, {.limit = kHitsAtATime, .job = job});
}

awaitable<void> UseCachedResultsForever(Farm& farm) {
  Signals::Subscription results(farm.signals, Topic::Results());
  TroubleLog trouble(farm.parts.log, "using results that are there already");
  while (!farm.stopping()) {
    trouble.Note(co_await UseCachedResults(farm));
    static_cast<void>(co_await results.Wait(farm.parts.limits.sweep_interval));
  }
}

}  // namespace tyllm::server::core
