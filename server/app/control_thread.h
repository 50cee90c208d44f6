// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <future>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "common/base/result.h"

namespace tyllm::server::app {

/// The thread that all use cases run on.
class ControlThread {
 public:
  ControlThread();

  ~ControlThread() { Stop(); }

  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  boost::asio::io_context& context() { return context_; }

  /// Runs `work` there and waits for it. Not from the control thread.
  template <typename T>
  T Await(boost::asio::awaitable<T> work) {
    return boost::asio::co_spawn(context_, std::move(work), boost::asio::use_future).get();
  }

  /// Runs `work` there until it ends or Stop cancels it. Once.
  void RunUntilStopped(boost::asio::awaitable<void> work);

  /// Cancels what RunUntilStopped began, waits a moment for coroutines to end, ends the thread.
  /// Idempotent.
  void Stop();

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::cancellation_signal stop_;
  std::thread thread_;
  std::promise<void> ended_;
};

}  // namespace tyllm::server::app
