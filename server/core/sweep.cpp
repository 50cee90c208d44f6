// SPDX-License-Identifier: Apache-2.0
#include "server/core/sweep.h"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/core/checkpoints.h"
#include "server/core/compilers.h"
#include "server/core/end_attempts.h"
#include "server/core/stand_still.h"
#include "server/core/start_limits.h"
#include "server/core/trouble_log.h"

namespace tyllm::server::core {

namespace {

using store::HeldTask;

// The queue says which attempts there are; this only keeps their clocks.
void FollowQueue(Farm& farm, const std::vector<HeldTask>& held) {
  std::vector<domain::AttemptId> ids;
  for (const HeldTask& task : held) {
    ids.push_back(task.id);
    farm.attempts.Follow(task, farm.parts.clock);
  }
  farm.attempts.KeepOnly(ids);
}

// It was killed, calls on as if nothing were, and its time to end is over.
bool DoesNotObey(const Farm& farm, const store::WorkerSession& holder) {
  const Fleet::Member* const member = farm.fleet.Find(holder.worker);
  return member != nullptr && member->session == holder.session && member->killed &&
         farm.parts.clock.Now() - *member->killed > farm.parts.limits.policy.stop;
}

std::vector<Ended> FindEnded(const Farm& farm, const std::vector<HeldTask>& held) {
  std::vector<Ended> ended;
  for (const Attempts::Overdue& overdue :
       farm.attempts.FindOverdue(farm.parts.clock.Now(), farm.parts.limits.policy)) {
    const auto task = std::find_if(held.begin(), held.end(),
                                   [&](const HeldTask& one) { return one.id == overdue.id; });
    if (task != held.end()) {
      ended.push_back({.task = *task, .ending = overdue.ending, .reported = std::nullopt});
    }
  }
  // What a killed worker has not handed back in time is taken from it.
  for (const HeldTask& task : held) {
    const bool is_known = std::any_of(ended.begin(), ended.end(),
                                      [&](const Ended& one) { return one.task.id == task.id; });
    if (!is_known && task.state == domain::TaskState::kLeased && DoesNotObey(farm, task.holder)) {
      ended.push_back({.task = task, .ending = sched::Ending::kReturned, .reported = std::nullopt});
    }
  }
  return ended;
}

// After a full disk: writing works again as soon as this does.
boost::asio::awaitable<Status> ProbeStore(Farm& farm) {
  const Status health = farm.parts.store.health();
  if (health.ok()) {
    co_return health;
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  co_return co_await farm.parts.store.Run([&](store::Queue& queue) { return queue.Probe(now); });
}

/// What waits, and what projects run already.
struct Waiting {
  std::vector<sched::Lane> lanes;
  sched::Shares shares;
};

bool SomebodyIsFreeFor(const std::vector<sched::Online>& online, const sched::Lane& lane) {
  return std::any_of(online.begin(), online.end(), [&](const sched::Online& one) {
    return one.takes_work && sched::HasRoom(one, lane.key.needs);
  });
}

// Pauses that are over, and tasks that were left to a worker which did not come.
boost::asio::awaitable<Status> WakeForDueTasks(Farm& farm) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const auto look = [&](store::Queue& queue) -> Result<Waiting> {
    Waiting waiting;
    TYLLM_ASSIGN(waiting.lanes, queue.Lanes(now));
    TYLLM_ASSIGN(waiting.shares, queue.Shares(now));
    return waiting;
  };
  TYLLM_CO_ASSIGN(const Waiting waiting, co_await farm.parts.store.Look(look));
  const sched::OnlineWorkers online =
      farm.fleet.OnlineSince(farm.parts.clock.Now() - farm.parts.limits.policy.Presence());
  const auto can_be_given = [&](const sched::Lane& lane) {
    return !sched::AtRunningLimit(waiting.shares, lane.key.project) &&
           SomebodyIsFreeFor(*online, lane);
  };
  if (std::ranges::any_of(waiting.lanes, can_be_given)) {
    farm.signals.Notify(Topic::Work());
  }
  co_return OkStatus();
}

}  // namespace

boost::asio::awaitable<Status> Recover(Farm& farm) {
  constexpr std::int64_t kSeen = 2000;
  std::vector<HeldTask> held;
  std::vector<store::SeenAttempt> seen;
  const Status read = co_await farm.parts.store.Look([&](store::Queue& queue) -> Status {
    TYLLM_ASSIGN(held, queue.AllHeld());
    TYLLM_ASSIGN(seen, queue.SeenAttempts(kSeen));
    return OkStatus();
  });
  TYLLM_CO_TRY(read);
  for (const store::SeenAttempt& one : seen) {
    farm.history.Note(one.size, one.run);
  }
  FollowQueue(farm, held);
  const std::int64_t now = farm.parts.clock.UnixMillis();
  farm.listens_since = {farm.parts.clock.Now(), now};
  co_return co_await farm.parts.store.Run(
      [&](store::Queue& queue) { return queue.CorrectTimes(now); });
}

boost::asio::awaitable<Status> Sweep(Farm& farm) {
  TYLLM_CO_TRY(co_await ProbeStore(farm));
  TYLLM_CO_ASSIGN(
      const std::vector<HeldTask> held,
      co_await farm.parts.store.Look([](store::Queue& queue) { return queue.AllHeld(); }));
  FollowQueue(farm, held);
  NoteAwake(farm);
  // One that fails keeps no other from being done.
  const Status ended = co_await EndAttempts(farm, FindEnded(farm, held));
  const Status forgot = co_await ForgetOldCheckpoints(farm);
  const Status mended = co_await MendCompilers(farm);
  const Status gave_up = co_await GiveUpUnstarted(farm);
  const Status woke = co_await WakeForDueTasks(farm);
  for (const Status& step : {ended, forgot, mended, gave_up}) {
    TYLLM_CO_TRY(step);
  }
  co_return woke;
}

boost::asio::awaitable<void> SweepForever(Farm& farm) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  TroubleLog trouble(farm.parts.log, "looking for attempts that are over");
  while (true) {
    trouble.Note(co_await Sweep(farm));
    timer.expires_after(farm.parts.limits.sweep_interval);
    const auto [error] =
        co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (error) {
      co_return;
    }
  }
}

}  // namespace tyllm::server::core
