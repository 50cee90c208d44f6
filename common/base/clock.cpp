// SPDX-License-Identifier: Apache-2.0
#include "common/base/clock.h"

namespace tyllm {

namespace {

class MachineClock final : public Clock {
 public:
  Steady Now() const override { return std::chrono::steady_clock::now(); }

  std::int64_t UnixMillis() const override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<Milliseconds>(since).count();
  }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace tyllm
