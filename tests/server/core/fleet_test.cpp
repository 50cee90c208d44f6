// SPDX-License-Identifier: Apache-2.0
#include "server/core/fleet.h"

#include <gtest/gtest.h>

namespace tyllm::server::core {
namespace {

using std::chrono::seconds;

class FleetTest : public ::testing::Test {
 protected:
  void Hear(const std::string& worker, int slots = 1, bool draining = false) {
    sched::WorkerState state{.name = worker, .capabilities = {}, .trees = {}};
    state.capabilities.slots = slots;
    if (fleet_.Find(worker) == nullptr) {
      fleet_.Begin({.worker = worker, .session = "s"}, {}, clock_.Now());
    }
    const auto& known = fleet_.Find(worker)->state;
    fleet_.Hear(worker,
                known != nullptr && known->capabilities == state.capabilities
                    ? known
                    : std::make_shared<const sched::WorkerState>(state),
                draining, clock_);
  }

  sched::OnlineWorkers Online() const { return fleet_.OnlineSince(clock_.Now() - seconds(30)); }

  int Slots() const { return fleet_.SlotsSince(clock_.Now() - seconds(30)); }

  Fleet fleet_;
  ManualClock clock_;
};

TEST_F(FleetTest, CallsThatChangeNothingShareWhatIsOnline) {
  Hear("a", 2);
  Hear("b", 3);
  const sched::OnlineWorkers online = Online();
  ASSERT_EQ(online->size(), 2U);
  EXPECT_EQ(Slots(), 5);
  clock_.Advance(seconds(10));
  Hear("a", 2);
  Hear("b", 3);
  EXPECT_EQ(Online(), online);
  fleet_.SetLoad("b", 0, {});
  EXPECT_EQ(Online(), online);
}

TEST_F(FleetTest, WhatChangedIsSeenAtOnce) {
  Hear("a");
  Hear("b");
  EXPECT_EQ(Online()->at(1).free_slots, 0);
  fleet_.SetLoad("b", 1, {});
  EXPECT_EQ(Online()->at(1).free_slots, 1);
  fleet_.SetLoad("b", 1, {.memory_bytes = 7});
  EXPECT_EQ(Online()->at(1).used.memory_bytes, 7);
  Hear("b", 4);
  EXPECT_EQ(Online()->at(1).worker->capabilities.slots, 4);
  EXPECT_EQ(Slots(), 5);
  Hear("b", 4, true);
  EXPECT_FALSE(Online()->at(1).takes_work);
  EXPECT_EQ(Slots(), 1);
  fleet_.SetOrder("a", {.mode = domain::WorkerMode::kCordoned, .reason = ""}, clock_.Now());
  EXPECT_FALSE(Online()->at(0).takes_work);
  Hear("c");
  EXPECT_EQ(Online()->size(), 3U);
}

TEST_F(FleetTest, WorkersThatAreSilentGoAndComeBack) {
  Hear("a");
  Hear("b");
  EXPECT_EQ(Online()->size(), 2U);
  clock_.Advance(seconds(20));
  Hear("a");
  clock_.Advance(seconds(20));
  ASSERT_EQ(Online()->size(), 1U);
  EXPECT_EQ(Online()->at(0).worker->name, "a");
  Hear("b");
  EXPECT_EQ(Online()->size(), 2U);
}

}  // namespace
}  // namespace tyllm::server::core
