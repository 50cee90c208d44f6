// SPDX-License-Identifier: Apache-2.0
#include "server/app/control_thread.h"

#include <chrono>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>

namespace tyllm::server::app {

namespace asio = boost::asio;

ControlThread::ControlThread() : work_(asio::make_work_guard(context_)) {
  thread_ = std::thread([this] {
    context_.run();
    ended_.set_value();
  });
}

void ControlThread::RunUntilStopped(asio::awaitable<void> work) {
  asio::co_spawn(context_, std::move(work),
                 asio::bind_cancellation_slot(stop_.slot(), [](const std::exception_ptr&) {
                   // A cancelled wait may end it with an exception: that is its end.
                 }));
}

void ControlThread::Stop() {
  if (!thread_.joinable()) {
    return;
  }
  asio::post(context_, [this] { stop_.emit(asio::cancellation_type::terminal); });
  work_.reset();
  // Everything that waits was cancelled before; a coroutine that still does is destroyed.
  constexpr std::chrono::seconds kPatience(5);
  if (ended_.get_future().wait_for(kPatience) != std::future_status::ready) {
    context_.stop();
  }
  thread_.join();
}

}  // namespace tyllm::server::app
