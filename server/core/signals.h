// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <map>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/base/clock.h"
#include "common/domain/ids.h"

namespace tyllm::server::core {

/// What one can wait for a change of.
struct Topic {
  enum class Kind : std::uint8_t { kJob, kLog, kWork, kResults };
  Kind kind = Kind::kWork;
  std::int64_t id = 0;
  auto operator<=>(const Topic&) const = default;

  static Topic Of(domain::JobId job) { return {Kind::kJob, job.value}; }

  static Topic LogOf(domain::TaskId task) { return {Kind::kLog, task.value}; }

  /// Something that idle workers should look at.
  static Topic Work() { return {}; }

  /// Queued tasks that have a result, perhaps.
  static Topic Results() { return {Kind::kResults, 0}; }
};

/// Wakes coroutines that wait for a change: subscribe first, then look, then wait, and no change in
/// between is missed. One thread.
class Signals {
 public:
  explicit Signals(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  class Subscription {
   public:
    Subscription(Signals& signals, Topic topic);
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription();

    /// True at once when the topic changed since the subscription or the last Wait; else waits for
    /// that, and is false when `timeout` passed without.
    boost::asio::awaitable<bool> Wait(Milliseconds timeout);

   private:
    friend class Signals;
    Signals& signals_;
    boost::asio::steady_timer timer_;
    std::multimap<Topic, Subscription*>::iterator place_;
    bool changed_ = false;
  };

  void Notify(Topic topic);

 private:
  boost::asio::any_io_executor executor_;
  std::multimap<Topic, Subscription*> subscriptions_;
};

}  // namespace tyllm::server::core
