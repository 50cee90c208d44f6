// SPDX-License-Identifier: Apache-2.0
#include "server/sched/settle.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::TaskEvent;
using S = domain::TaskState;

TEST(Settle, TableOfGraphs) {
  constexpr auto kReady = TaskEvent::kInputsReady;
  constexpr auto kCancel = TaskEvent::kCancel;

  struct Case {
    const char* says;
    std::vector<Node> nodes;
    std::vector<Step> steps;
  };

  const std::vector<Case> cases = {
      {"nothing yet", {{S::kLeased, {}}, {S::kWaiting, {0}}}, {}},
      {"one ready", {{S::kSucceeded, {}}, {S::kWaiting, {0}}, {S::kWaiting, {1}}}, {{1, kReady}}},
      {"no needs", {{S::kWaiting, {}}}, {{0, kReady}}},
      {"all needs", {{S::kSucceeded, {}}, {S::kQueued, {}}, {S::kWaiting, {0, 1}}}, {}},
      {"down the graph",
       {{S::kFailed, {}}, {S::kWaiting, {0}}, {S::kWaiting, {1}}, {S::kWaiting, {}}},
       {{1, kCancel}, {2, kCancel}, {3, kReady}}},
      {"a hopeless need beats a missing one",
       {{S::kCancelled, {}}, {S::kLeased, {}}, {S::kWaiting, {0, 1}}},
       {{2, kCancel}}},
      {"what is not waiting stays", {{S::kFailed, {}}, {S::kLeased, {0}}, {S::kQueued, {0}}}, {}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Settle(c.nodes), c.steps) << c.says;
  }
}

}  // namespace
}  // namespace tyllm::server::sched
