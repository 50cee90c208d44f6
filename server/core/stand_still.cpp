// SPDX-License-Identifier: Apache-2.0
#include "server/core/stand_still.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tyllm::server::core {

void NoteAwake(Farm& farm) {
  if (!farm.awake) {
    return;  // nobody beats
  }
  const Clock::Steady now = farm.parts.clock.Now();
  const Milliseconds still = sched::StoodStill(*farm.awake, now, farm.parts.limits.policy);
  farm.awake = now;
  if (still.count() == 0) {
    return;
  }
  farm.attempts.Forgive(still, now);
  farm.fleet.Forgive(still, now);
  farm.listens_since = {now, farm.parts.clock.UnixMillis()};
  if (farm.parts.log != nullptr) {
    farm.parts.log->Warning("the server stood still; no attempt is held to that time",
                            {{"ms", still.count()}});
  }
}

boost::asio::awaitable<void> StayAwake(Farm& farm) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  farm.awake = farm.parts.clock.Now();
  while (true) {
    timer.expires_after(farm.parts.limits.policy.beat);
    const auto [error] =
        co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (error) {
      co_return;
    }
    NoteAwake(farm);
  }
}

}  // namespace tyllm::server::core
