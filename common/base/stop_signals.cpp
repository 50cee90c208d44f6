// SPDX-License-Identifier: Apache-2.0
#include "common/base/stop_signals.h"

#include <csignal>
#include <ctime>

namespace tyllm {

namespace {

sigset_t TheSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = TheSignals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::jthread([this](const std::stop_token& done) { Wait(done); });
}

StopSignals::~StopSignals() = default;

void StopSignals::Wait(const std::stop_token& done) {
  const sigset_t set = TheSignals();
  const timespec period{0, 100'000'000};
  while (!done.stop_requested()) {
    const int signal = ::sigtimedwait(&set, nullptr, &period);
    if (signal < 0) {
      continue;
    }
    if (stop_.stop_requested()) {
      ::signal(signal, SIG_DFL);
      ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
      ::raise(signal);
    }
    stop_.request_stop();
  }
}

}  // namespace tyllm
