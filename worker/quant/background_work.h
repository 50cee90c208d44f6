// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <thread>

#include "common/base/guarded.h"
#include "common/base/status.h"

namespace tyllm::quant {

/// Work on another thread, piece after piece in order, while the caller goes on: what is written to
/// the disk while a GPU computes. Few pieces wait, so what they hold is bounded. After a piece that
/// failed none is begun. Without a thread each piece is done at once.
class BackgroundWork {
 public:
  explicit BackgroundWork(bool threaded);
  BackgroundWork(const BackgroundWork&) = delete;
  BackgroundWork& operator=(const BackgroundWork&) = delete;
  /// Waits for the piece at work; those that wait are dropped.
  ~BackgroundWork();

  /// Waits for room. Gives the status of pieces so far; where that is bad, `work` is dropped.
  Status Start(std::function<Status()> work);
  /// Waits for all pieces.
  Status Finish();

 private:
  struct State {
    std::deque<std::function<Status()>> waiting;
    bool busy = false;
    bool closing = false;
    Status status;
  };

  void Run();

  Guarded<State> state_;
  std::optional<std::jthread> thread_;
};

}  // namespace tyllm::quant
