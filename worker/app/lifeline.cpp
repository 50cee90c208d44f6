// SPDX-License-Identifier: Apache-2.0
#include "worker/app/lifeline.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <stop_token>
#include <utility>

namespace tyllm::app {

namespace {

// How long the destructor may have to wait for the thread.
constexpr int kLookMillis = 50;

void Watch(const std::stop_token& done, int fd, const std::function<void()>& on_loss) {
  while (!done.stop_requested()) {
    pollfd watched{fd, 0, 0};  // POLLHUP of a read end and POLLERR of a write end come unasked
    if (::poll(&watched, 1, kLookMillis) > 0) {
      on_loss();
      return;
    }
  }
}

}  // namespace

Lifeline::Lifeline(Fd fd, std::function<void()> on_loss)
    : fd_(std::move(fd)),
      thread_([fd = fd_.get(), act = std::move(on_loss)](const std::stop_token& done) {
        Watch(done, fd, act);
      }) {}

void KillOwnGroup() {
  ::kill(::getpgrp() == ::getpid() ? 0 : ::getpid(), SIGKILL);
}

}  // namespace tyllm::app
