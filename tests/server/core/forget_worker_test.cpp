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

TEST_F(ForgetWorkerTest, ARepeatedRequestForgetsNobodyAgain) {
  Ask("gpu1");
  Advance(hours(1));
  const auto forget = [&] {
    return Await(ForgetWorker(*farm_, {.worker = "gpu1", .request_id = "r"})).status();
  };
  EXPECT_TRUE(forget().ok());
  EXPECT_TRUE(forget().ok()) << "it is told what became of it";
  Ask("gpu1");
  EXPECT_TRUE(forget().ok()) << "also when the worker is back";
  EXPECT_EQ(Workers(), (std::set<std::string>{"gpu1"}));
  ASSERT_TRUE(Submit("r2", Spec(JobKind::kConvert)).ok());
  EXPECT_EQ(Ask("gpu1").size(), 1U) << "and its session goes on";
  EXPECT_EQ(Forget("gpu1").code(), StatusCode::kFailedPrecondition);
}

TEST_F(ForgetWorkerTest, OneThatDrainedAndHasNothingLeftIsGoneForAll) {
  SyncRequest last = From("gpu1");
  ASSERT_TRUE(Sync(last).ok());
  last.draining = true;
  ASSERT_TRUE(Sync(last).ok());
  EXPECT_FALSE(Await(ListWorkers(*farm_))->at(0).online);
  EXPECT_TRUE(Forget("gpu1").ok());
  EXPECT_TRUE(Workers().empty());
}

TEST_F(ForgetWorkerTest, OneThatDrainsAndStillHasATaskIsThereForAll) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  const auto given = Ask("gpu1");
  ASSERT_EQ(given.size(), 1U);
  SyncRequest drains = From("gpu1", {{.id = given[0].id, .progress = {}, .outcome = {}}});
  drains.draining = true;
  ASSERT_TRUE(Sync(drains).ok());
  EXPECT_TRUE(Await(ListWorkers(*farm_))->at(0).online);
  const Status refused = Forget("gpu1");
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.message().find("is there"), std::string::npos) << refused.message();
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
