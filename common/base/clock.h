// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace tyllm {

using Milliseconds = std::chrono::milliseconds;

/// Where time comes from. Threads: any. Nothing that decides on time calls now() of a std clock.
class Clock {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;

  /// For durations and deadlines; never goes back.
  virtual Steady Now() const = 0;

  /// Milliseconds since 1970 UTC, for people; may jump.
  virtual std::int64_t UnixMillis() const = 0;
};

/// The machine's clock.
const Clock& SystemClock();

/// A clock that a test moves by hand.
class ManualClock : public Clock {
 public:
  Steady Now() const override { return now_; }

  std::int64_t UnixMillis() const override { return unix_millis_; }

  void Advance(Milliseconds by) {
    now_ += by;
    unix_millis_ += by.count();
  }

 private:
  Steady now_{};
  std::int64_t unix_millis_ = 1'700'000'000'000;
};

}  // namespace tyllm
