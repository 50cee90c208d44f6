// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <future>

#include <boost/asio/post.hpp>

#include "server/core/sync_worker.h"
#include "tests/server/core/await.h"

// A worker with several slots is given several tasks at once, some of them read ahead.
namespace tyllm::server::core {
namespace {

class SeveralSlots : public FarmFixture {
 protected:
  void SubmitTo(const std::string& project, const std::string& model) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload(model);
    spec.project = project;
    ASSERT_TRUE(Submit("r" + std::to_string(++requests_), spec).ok());
  }

  std::size_t Started(int slots) {
    SyncRequest request = From("w");
    request.capabilities.slots = slots;
    return Sync(request)->start.size();
  }

  int requests_ = 0;
};

TEST_F(SeveralSlots, GetAsManyTasksAsThereAre) {
  for (int i = 0; i < 5; ++i) {
    SubmitTo("p", "model " + std::to_string(i));
  }
  EXPECT_EQ(Started(3), 3U);
  EXPECT_EQ(Started(8), 5U);  // the three are told again: the worker names none of them
}

// Each project's second task is read together with its first, before the other's is begun.
TEST_F(SeveralSlots, OneOfTwoTasksWithOneResultRuns) {
  for (const std::string project : {"p", "q"}) {
    SubmitTo(project, "of " + project);
    SubmitTo(project, "of both");
  }
  EXPECT_EQ(Started(8), 3U);
}

TEST_F(SeveralSlots, KeepAllLeasesWhileOneResultIsLookedAt) {
  SubmitTo("p", "one");
  SubmitTo("p", "two");
  SyncRequest request = From("w");
  request.capabilities.slots = 2;
  const std::vector<domain::Assignment> given = Sync(request)->start;
  ASSERT_EQ(given.size(), 2U);
  request.held = {{.id = given[0].id, .outcome = domain::Succeeded{Upload("result")}},
                  {.id = given[1].id}};
  std::promise<void> disk;
  boost::asio::post(blocking_, [ready = disk.get_future().share()] { ready.wait(); });
  Advance(std::chrono::seconds(29));
  std::optional<Result<SyncReply>> reply;
  boost::asio::co_spawn(*control_, Keep(SyncWorker(*farm_, request), reply), boost::asio::detached);
  ASSERT_TRUE(Sweep().ok());
  Advance(std::chrono::seconds(29));  // longer than leases that were not kept
  ASSERT_TRUE(Sweep().ok());
  EXPECT_NE(farm_->attempts.Find(given[0].id), nullptr);
  EXPECT_NE(farm_->attempts.Find(given[1].id), nullptr);
  disk.set_value();
  control_->restart();
  while (!reply && control_->run_one_for(std::chrono::seconds(5)) > 0) {
  }
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)->acknowledged, std::vector{given[0].id.task});
  EXPECT_TRUE((*reply)->stop.empty());
}

}  // namespace
}  // namespace tyllm::server::core
