// SPDX-License-Identifier: Apache-2.0
#include "server/sched/shares.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::server::sched {
namespace {

using std::chrono::hours;

TEST(Decayed, HalvesInAHalfLife) {
  const Fairness fairness{.half_life = hours(10)};
  EXPECT_DOUBLE_EQ(Decayed(800, hours(0), fairness), 800);
  EXPECT_DOUBLE_EQ(Decayed(800, hours(10), fairness), 400);
  EXPECT_DOUBLE_EQ(Decayed(800, hours(30), fairness), 100);
  EXPECT_DOUBLE_EQ(Decayed(800, hours(-10), fairness), 800) << "a clock that was set back";
}

TEST(RateOf, AGpuIsTheUnit) {
  const Fairness fairness{.cpu_rate = 0.1};
  domain::Capabilities worker;
  EXPECT_DOUBLE_EQ(RateOf(worker, fairness), 0.1);
  worker.device = "cuda";
  EXPECT_DOUBLE_EQ(RateOf(worker, fairness), 1);
}

TEST(ChargeOf, CountsWhatRunsFromItsStartAndDividesByWeight) {
  Fairness fairness;
  fairness.entry = std::chrono::seconds(60);
  const Share share{.weight = 2, .used_seconds = 100, .running_seconds = 20, .running_rate = 1};
  EXPECT_DOUBLE_EQ(ChargeOf(share, fairness), (100 + 20 + 60) / 2.0);
}

TEST(Portions, OfUseAndOfWeightsOfThoseThatWantSomething) {
  Shares shares;
  shares.projects["a"] = {.weight = 3, .used_seconds = 50, .running_seconds = 10};
  shares.projects["b"] = {.weight = 1, .used_seconds = 30};
  shares.projects["c"] = {.weight = 9, .used_seconds = 10};
  const auto portions = Portions(shares, std::vector<std::string>{"a", "b"});
  EXPECT_EQ(portions.at("a"), (Portion{0.6, 0.75}));
  EXPECT_EQ(portions.at("b"), (Portion{0.3, 0.25}));
  EXPECT_EQ(portions.at("c"), (Portion{0.1, 0})) << "it wants nothing";
  EXPECT_TRUE(Portions({}, {}).empty());
}

TEST(Portions, AProjectThatNobodyDescribedWeighsOne) {
  const auto portions = Portions({}, std::vector<std::string>{"new"});
  EXPECT_EQ(portions.at("new"), (Portion{0, 1}));
}

}  // namespace
}  // namespace tyllm::server::sched
