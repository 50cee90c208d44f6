// SPDX-License-Identifier: Apache-2.0
#include "server/app/ends_within.h"

#include <future>
#include <thread>
#include <utility>

namespace tyllm::server::app {

bool EndsWithin(Milliseconds limit, std::function<void()> work) {
  std::promise<void> ended;
  const std::future<void> end = ended.get_future();
  std::thread thread([work = std::move(work), ended = std::move(ended)]() mutable {
    work();
    ended.set_value();
  });
  if (end.wait_for(limit) == std::future_status::ready) {
    thread.join();
    return true;
  }
  thread.detach();
  return false;
}

}  // namespace tyllm::server::app
