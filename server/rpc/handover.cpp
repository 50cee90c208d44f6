// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/handover.h"

#include <chrono>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tyllm::server::rpc {

namespace asio = boost::asio;

struct Handover::State {
  explicit State(const asio::any_io_executor& executor) : timer(executor) {}

  asio::steady_timer timer;
  std::optional<bool> reported;
};

Handover::Handover(const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(executor)) {}

void Handover::Report(bool ok) {
  asio::post(state_->timer.get_executor(), [state = state_, ok] {
    state->reported = ok;
    state->timer.cancel();
  });
}

asio::awaitable<std::optional<bool>> Handover::Wait(Milliseconds limit) {
  const std::shared_ptr<State> state = state_;
  state->timer.expires_after(limit);
  const auto deadline = state->timer.expiry();
  while (!state->reported) {
    state->timer.expires_at(deadline);
    const auto [error] = co_await state->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!error && !state->reported) {
      co_return std::nullopt;
    }
  }
  co_return std::exchange(state->reported, std::nullopt);
}

asio::awaitable<bool> Handover::Wait() {
  std::optional<bool> reported;
  while (!reported) {
    reported = co_await Wait(std::chrono::hours(24));
  }
  co_return *reported;
}

}  // namespace tyllm::server::rpc
