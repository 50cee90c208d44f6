// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/core_claims.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <vector>

namespace tyllm::simulator {
namespace {

/// Puts back at the end where this thread may run.
class CoreClaimsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::sched_getaffinity(0, sizeof(usable_), &usable_), 0);
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &usable_)) {
        cores_.push_back(core);
      }
    }
  }

  void TearDown() override { ::sched_setaffinity(0, sizeof(usable_), &usable_); }

  static void RunOn(const std::vector<int>& cores) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : cores) {
      CPU_SET(core, &set);
    }
    ASSERT_EQ(::sched_setaffinity(0, sizeof(set), &set), 0);
  }

  cpu_set_t usable_{};
  std::vector<int> cores_;
};

TEST_F(CoreClaimsTest, WhoFindsItsCoreTakenMovesToAnother) {
  if (cores_.size() < 2) {
    GTEST_SKIP() << "one core";
  }
  CoreClaims claims;
  RunOn({cores_[0]});
  EXPECT_EQ(claims.Take(), cores_[0]);
  RunOn({cores_[0], cores_[1]});
  EXPECT_EQ(claims.Take(), cores_[1]);
  cpu_set_t after;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_EQ(CPU_COUNT(&after), 2);
  EXPECT_EQ(claims.Take(), -1);
}

TEST_F(CoreClaimsTest, StaysWhereItMayRun) {
  CoreClaims claims;
  RunOn({cores_[0]});
  EXPECT_EQ(claims.Take(), cores_[0]);
  EXPECT_EQ(claims.Take(), -1);
  EXPECT_EQ(::sched_getcpu(), cores_[0]);
}

}  // namespace
}  // namespace tyllm::simulator
