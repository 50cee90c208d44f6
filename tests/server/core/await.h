// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/server/core/farm_fixture.h"

namespace tyllm::server::core {

/// Puts what `work` returns into `result`, which outlives it.
template <typename T>
boost::asio::awaitable<void> Keep(boost::asio::awaitable<T> work, std::optional<T>& result) {
  result.emplace(co_await std::move(work));
}

template <typename T>
T FarmFixture::Await(boost::asio::awaitable<T> work) {
  std::optional<T> result;
  boost::asio::co_spawn(*control_, Keep(std::move(work), result), boost::asio::detached);
  control_->restart();
  while (!result) {
    TYLLM_CHECK(control_->run_one() > 0);
  }
  return *std::move(result);
}

}  // namespace tyllm::server::core
