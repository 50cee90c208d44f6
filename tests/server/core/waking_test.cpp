// SPDX-License-Identifier: Apache-2.0
// Who is woken, and what is told of, when time alone changes something.
#include <sstream>

#include "server/core/projects.h"
#include "server/core/trouble_log.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

class WakingTest : public FarmFixture {
 protected:
  void SetLimit(std::optional<std::int64_t> tasks) {
    domain::Project project{.name = "a"};
    project.max_running_tasks = tasks;
    ASSERT_TRUE(Await(SetProject(*farm_, {.request_id = {}, .project = project, .etag = {}})).ok());
  }

  void Submit(const std::string& model) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload(model);
    spec.project = "a";
    ASSERT_TRUE(FarmFixture::Submit(model, spec).ok());
  }

  bool SweepWakes() {
    Signals::Subscription work(farm_->signals, Topic::Work());
    EXPECT_TRUE(Sweep().ok());
    return Await(work.Wait(Milliseconds(1)));
  }
};

TEST_F(WakingTest, IdleWorkersAreNotWokenForAProjectThatRunsAsMuchAsItMay) {
  SetLimit(1);
  Submit("1");
  Submit("2");
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  ASSERT_TRUE(Ask("gpu2").empty());
  EXPECT_FALSE(SweepWakes());
  SetLimit(2);
  EXPECT_TRUE(SweepWakes());
}

TEST_F(WakingTest, IdleWorkersAreNotWokenForWhatWaitsForAnothersResult) {
  Submit("1");
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  domain::JobSpec same = Spec(JobKind::kConvert);
  same.model = Upload("1");
  same.project = "b";
  ASSERT_TRUE(FarmFixture::Submit("same", same).ok());
  ASSERT_TRUE(Ask("gpu2").empty());
  EXPECT_FALSE(SweepWakes());
}

TEST(TroubleLog, TellsWhenItBeginsAndWhenItIsOver) {
  std::ostringstream out;
  ManualClock clock;
  telemetry::Log log({}, clock, out);
  TroubleLog trouble(&log, "sweeping");
  trouble.Note(OkStatus());
  EXPECT_EQ(out.str(), "");
  trouble.Note(Unavailable("the disk is broken"));
  trouble.Note(Unavailable("the disk is broken"));
  const std::string told = out.str();
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
  EXPECT_NE(told.find("the disk is broken"), std::string::npos);
  trouble.Note(OkStatus());
  EXPECT_NE(out.str().find("sweeping works again"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::server::core
