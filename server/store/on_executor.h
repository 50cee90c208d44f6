// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tyllm::server::store {

/// Runs blocking `work()` on `elsewhere` and comes back to the caller's executor with what it
/// returned. `work` may refer to the calling coroutine's variables: it waits.
template <typename Work, typename Answer = std::invoke_result_t<Work&>>
boost::asio::awaitable<Answer> OnExecutor(boost::asio::any_io_executor elsewhere, Work work) {
  namespace asio = boost::asio;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Answer)>(
      [elsewhere](auto handler, Work initiated) {
        asio::any_io_executor home = asio::prefer(asio::get_associated_executor(handler),
                                                  asio::execution::outstanding_work.tracked);
        asio::post(elsewhere, [home = std::move(home), handler = std::move(handler),
                               initiated = std::move(initiated)]() mutable {
          asio::post(home, [handler = std::move(handler), answer = initiated()]() mutable {
            std::move(handler)(std::move(answer));
          });
        });
      },
      asio::use_awaitable, std::move(work));
}

}  // namespace tyllm::server::store
