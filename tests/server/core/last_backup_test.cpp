// SPDX-License-Identifier: Apache-2.0
#include "server/core/last_backup.h"

#include <gtest/gtest.h>

namespace tyllm::server::core {
namespace {

using std::chrono::hours;

TEST(BackupAge, IsCountedFromWhenItWasMade) {
  ManualClock clock;
  BackupAge age(clock);
  const std::int64_t made = clock.UnixMillis() - 1000;
  EXPECT_EQ(age.Of(made), Milliseconds(1000));
  clock.Advance(hours(50));
  EXPECT_EQ(age.Of(made), hours(50) + Milliseconds(1000));
}

TEST(BackupAge, OfATimeToComeIsNoLessThanItHasBeenKnown) {
  ManualClock clock;
  BackupAge age(clock);
  const std::int64_t made = clock.UnixMillis() + Milliseconds(hours(24 * 30)).count();
  EXPECT_EQ(age.Of(made), Milliseconds(0));
  clock.Advance(hours(50));
  EXPECT_EQ(age.Of(made), hours(50));
  EXPECT_EQ(age.Of(made + 1), Milliseconds(0)) << "another one";
}

}  // namespace
}  // namespace tyllm::server::core
