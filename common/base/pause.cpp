// SPDX-License-Identifier: Apache-2.0
#include "common/base/pause.h"

#include "common/base/guarded.h"

namespace tyllm {

bool PauseFor(Milliseconds time, const std::stop_token& stop) {
  Guarded<bool> stopped(false);
  const std::stop_callback wake(stop, [&stopped] {
    {
      auto view = stopped.Lock();
      *view = true;
    }
    stopped.Notify();
  });
  auto view = stopped.Lock();
  return !view.WaitUntil(std::chrono::steady_clock::now() + time, [](bool value) { return value; });
}

}  // namespace tyllm
