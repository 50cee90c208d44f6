// SPDX-License-Identifier: Apache-2.0
#include "worker/app/lifeline.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <stop_token>

namespace tyllm::app {

namespace {

// How long the destructor may have to wait for the thread.
constexpr int kLookMillis = 200;

void Watch(const std::stop_token& done, int fd) {
  while (!done.stop_requested()) {
    pollfd watched{fd, POLLIN, 0};
    if (::poll(&watched, 1, kLookMillis) > 0) {
      ::kill(::getpid(), SIGTERM);
      return;
    }
  }
}

}  // namespace

Lifeline::Lifeline(int fd)
    : fd_(fd), thread_([fd](const std::stop_token& done) { Watch(done, fd); }) {}

}  // namespace tyllm::app
