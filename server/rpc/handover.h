// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "common/base/clock.h"

namespace tyllm::server::rpc {

/// Lets a coroutine wait for what a gRPC thread reports: one Report for each Wait, in any order.
class Handover {
 public:
  /// `executor` is the coroutine's and runs one thing at a time.
  explicit Handover(const boost::asio::any_io_executor& executor);

  /// Threads: any. The coroutine may be gone.
  void Report(bool ok);

  /// What was reported; nothing when `limit` passed without. A cancellation does not end it, as
  /// gRPC reports on cancelled calls too.
  boost::asio::awaitable<std::optional<bool>> Wait(Milliseconds limit);

  /// For what gRPC always reports soon after the connection breaks.
  boost::asio::awaitable<bool> Wait();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tyllm::server::rpc
