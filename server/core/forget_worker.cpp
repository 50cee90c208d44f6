// SPDX-License-Identifier: Apache-2.0
#include "server/core/forget_worker.h"

#include <algorithm>
#include <vector>

#include "server/core/change_log.h"
#include "server/core/once.h"

namespace tyllm::server::core {

namespace {

constexpr std::chrono::hours kNotedEvery{24};
constexpr std::chrono::hours kLongestCall{1};

/// Of a worker, as the fleet knows it.
struct Presence {
  bool with_tasks = false;     ///< it is there, if it holds tasks
  bool without_tasks = false;  ///< it is there, if it holds none
};

Status ForgetIdle(store::Queue& queue, const std::string& worker, const Presence& there = {}) {
  TYLLM_ASSIGN(const std::vector<store::HeldTask> held, queue.HeldBy(worker));
  if (held.empty() ? there.without_tasks : there.with_tasks) {
    return FailedPrecondition("worker '" + worker +
                              "' is there, expected one that is gone; `tyllm-client worker "
                              "drain` ends it");
  }
  if (!held.empty()) {
    return FailedPrecondition("worker '" + worker + "' holds " + std::to_string(held.size()) +
                              " tasks, expected none; wait until they are taken from it");
  }
  return queue.ForgetWorker(worker);
}

struct Seen {
  domain::WorkerSession session;
  domain::Capabilities capabilities;
  std::int64_t unix_ms = 0;
};

/// What the queue is to be told of workers.
struct News {
  std::vector<std::string> old;  ///< not seen for long
  /// Seen: the queue itself hears of a worker only when its process begins.
  std::vector<Seen> seen;
};

News NewsOf(const Farm& farm, const std::vector<store::WorkerRecord>& workers) {
  const std::int64_t before = farm.parts.clock.UnixMillis() - farm.parts.limits.worker_keep.count();
  News news;
  for (const store::WorkerRecord& worker : workers) {
    const Fleet::Member* const member = farm.fleet.Find(worker.name);
    const bool called = member != nullptr && member->session == worker.session;
    const std::int64_t seen = called ? member->seen_unix_ms : 0;
    if (std::max(seen, worker.last_seen_unix_ms) < before) {
      news.old.push_back(worker.name);
    } else if (seen - worker.last_seen_unix_ms > Milliseconds(kNotedEvery).count()) {
      news.seen.push_back({{worker.name, worker.session}, member->state->capabilities, seen});
    }
  }
  return news;
}

Result<std::vector<std::string>> Tell(store::Queue& queue, const News& news) {
  for (const Seen& one : news.seen) {
    const Status noted = queue.StartSession(one.session, one.capabilities, one.unix_ms);
    if (noted.code() != StatusCode::kAborted) {  // another process of the name is newer still
      TYLLM_TRY(noted);
    }
  }
  std::vector<std::string> gone;
  for (const std::string& worker : news.old) {
    const Status forgot = ForgetIdle(queue, worker);
    if (forgot.ok()) {
      gone.push_back(worker);
    } else if (forgot.code() != StatusCode::kFailedPrecondition) {
      return forgot;
    }
  }
  return gone;
}

}  // namespace

boost::asio::awaitable<Result<Forgotten>> ForgetWorker(Farm& farm, WorkerToForget which) {
  TYLLM_CO_TRY(CheckRequestId(which.request_id, false));
  const Clock::Steady since = farm.parts.clock.Now() - farm.parts.limits.policy.Presence();
  const Presence there{farm.fleet.IsThere(which.worker, true, since),
                       farm.fleet.IsThere(which.worker, false, since)};
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Asked asked = AskedOf(which.request_id, "ForgetWorker", which.worker);
  bool forgotten = false;  // not by an earlier call: the worker may be back
  const Status done = co_await farm.parts.store.Run([&](store::Queue& queue) {
    forgotten = false;
    return MakeOnce(queue, asked, std::nullopt, now, [&] {
      forgotten = true;
      return ForgetIdle(queue, which.worker, there);
    });
  });
  TYLLM_CO_TRY(done);
  if (forgotten) {
    LogChange(farm, "worker forgotten", {"worker", which.worker}, which.by);
    farm.fleet.Forget(which.worker);
  }
  co_return Forgotten{};
}

boost::asio::awaitable<Status> ForgetOldWorkers(Farm& farm) {
  farm.fleet.DropForgotten(farm.parts.clock.Now() - kLongestCall);
  if (farm.parts.limits.worker_keep.count() <= 0) {
    co_return OkStatus();
  }
  TYLLM_CO_ASSIGN(
      const std::vector<store::WorkerRecord> workers,
      co_await farm.parts.store.Look([](store::Queue& queue) { return queue.ListWorkers(); }));
  const News news = NewsOf(farm, workers);
  if (news.old.empty() && news.seen.empty()) {
    co_return OkStatus();
  }
  TYLLM_CO_ASSIGN(
      const std::vector<std::string> gone,
      co_await farm.parts.store.Run([&](store::Queue& queue) { return Tell(queue, news); }));
  for (const std::string& worker : gone) {
    farm.fleet.Forget(worker);
  }
  co_return OkStatus();
}

}  // namespace tyllm::server::core
