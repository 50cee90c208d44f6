// SPDX-License-Identifier: Apache-2.0
#include "server/core/signals.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tyllm::server::core {

Signals::Subscription::Subscription(Signals& signals, Topic topic)
    : signals_(signals),
      timer_(signals.executor_),
      place_(signals.subscriptions_.emplace(topic, this)) {}

Signals::Subscription::~Subscription() {
  signals_.subscriptions_.erase(place_);
}

boost::asio::awaitable<bool> Signals::Subscription::Wait(Milliseconds timeout) {
  if (!changed_ && timeout.count() > 0) {
    timer_.expires_after(timeout);
    co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  co_return std::exchange(changed_, false);
}

void Signals::Notify(Topic topic) {
  const auto [first, last] = subscriptions_.equal_range(topic);
  for (auto it = first; it != last; ++it) {
    it->second->changed_ = true;
    it->second->timer_.cancel();
  }
}

}  // namespace tyllm::server::core
