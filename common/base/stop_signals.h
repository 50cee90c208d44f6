// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <thread>

namespace tyllm {

/// Turns SIGINT and SIGTERM into a stop request. Make it first in main, before any other thread: it
/// blocks the signals, and threads inherit that. A second signal ends the process at once, as if
/// nobody had asked.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();

  std::stop_token token() const { return stop_.get_token(); }

 private:
  void Wait(const std::stop_token& done);

  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace tyllm
