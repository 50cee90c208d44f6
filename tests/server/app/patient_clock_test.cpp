// SPDX-License-Identifier: Apache-2.0
#include "server/app/patient_clock.h"

#include <gtest/gtest.h>

namespace tyllm::server::app {
namespace {

/// Wall and steady time are moved apart.
class JumpyClock final : public Clock {
 public:
  Steady Now() const override { return now_; }

  std::int64_t UnixMillis() const override { return unix_ms_; }

  void Pass(Milliseconds time) {
    now_ += time;
    unix_ms_ += time.count();
  }

  void Jump(Milliseconds by) { unix_ms_ += by.count(); }

 private:
  Steady now_{};
  std::int64_t unix_ms_ = 1'700'000'000'000;
};

TEST(PatientClock, BeginsWithTheMachinesTimeAndKeepsItsPace) {
  JumpyClock machine;
  const PatientClock clock(machine);
  EXPECT_EQ(clock.UnixMillis(), 1'700'000'000'000);
  machine.Pass(Milliseconds(1500));
  EXPECT_EQ(clock.UnixMillis(), 1'700'000'001'500);
}

TEST(PatientClock, AJumpIsNotSeenAndMadeUpForSlowly) {
  for (const std::int64_t hours : {-2, 2}) {
    JumpyClock machine;
    const PatientClock clock(machine);
    const std::int64_t start = clock.UnixMillis();
    machine.Jump(std::chrono::hours(hours));
    EXPECT_EQ(clock.UnixMillis(), start);
    machine.Pass(std::chrono::seconds(10));
    EXPECT_EQ(clock.UnixMillis(), start + (hours < 0 ? 9'000 : 11'000));
    for (int i = 0; i < 30; ++i) {
      machine.Pass(std::chrono::hours(1));
      static_cast<void>(clock.UnixMillis());
    }
    EXPECT_EQ(clock.UnixMillis(), machine.UnixMillis()) << "in the end they agree";
  }
}

TEST(PatientClock, NeverGoesBack) {
  JumpyClock machine;
  const PatientClock clock(machine);
  std::int64_t last = clock.UnixMillis();
  for (int i = 0; i < 1000; ++i) {
    machine.Jump(Milliseconds((i * 7919) % 20'001 - 10'000));
    machine.Pass(Milliseconds(i % 5));
    const std::int64_t next = clock.UnixMillis();
    EXPECT_GE(next, last);
    last = next;
  }
}

}  // namespace
}  // namespace tyllm::server::app
