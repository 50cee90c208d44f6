// SPDX-License-Identifier: Apache-2.0
#include "server/core/forget_worker.h"

#include <set>

#include "server/core/list_workers.h"
#include "server/core/retention.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using std::chrono::hours;

class ForgetWorkerTest : public FarmFixture {
 protected:
  ForgetWorkerTest() {
    limits_.worker_keep = hours(24 * 30);
    Restart();
  }

  std::set<std::string> Workers() {
    std::set<std::string> names;
    const auto workers = Await(ListWorkers(*farm_));
    EXPECT_TRUE(workers.ok()) << workers.status().ToString();
    for (const domain::WorkerView& worker : *workers) {
      names.insert(worker.name);
    }
    return names;
  }

  Status Forget(const std::string& worker) {
    return Await(ForgetWorker(*farm_, {worker})).status();
  }
};

TEST_F(ForgetWorkerTest, OneThatIsGoneIsRemovedAndNewWhenItCallsAgain) {
  Ask("gpu1");
  EXPECT_EQ(Forget("gpu1").code(), StatusCode::kFailedPrecondition) << "it is there";
  ASSERT_TRUE(Order("gpu1", domain::WorkerMode::kCordoned).ok());
  Advance(hours(1));
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1"}));
  EXPECT_TRUE(Forget("gpu1").ok());
  EXPECT_TRUE(Workers().empty());
  EXPECT_EQ(Forget("gpu1").code(), StatusCode::kNotFound);
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  EXPECT_EQ(Ask("gpu1").size(), 1U) << "nobody has cordoned this one";
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1"}));
}

TEST_F(ForgetWorkerTest, OneThatHoldsATaskStays) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  Advance(hours(24 * 31));
  EXPECT_EQ(Forget("gpu1").code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Await(ForgetOldWorkers(*farm_)).ok());
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1"}));
}

TEST_F(ForgetWorkerTest, ThoseThatWereNotSeenForLongGo) {
  Ask("pod-1");
  Ask("gpu1");
  Advance(hours(24 * 29));
  Ask("gpu1");
  EXPECT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1", "pod-1"}));
  Advance(hours(24 * 2));
  EXPECT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1"}));
  EXPECT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(farm_->fleet.Find("pod-1"), nullptr);
}

TEST_F(ForgetWorkerTest, OneThatCalledUntilTheServerStartedAgainStays) {
  Ask("gpu1");
  Advance(hours(24 * 31));
  Ask("gpu1");
  EXPECT_TRUE(Await(ForgetOldWorkers(*farm_)).ok());
  Restart();
  EXPECT_TRUE(Await(ForgetOldWorkers(*farm_)).ok());
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1"}));
}

}  // namespace
}  // namespace tyllm::server::core
