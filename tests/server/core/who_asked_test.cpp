// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "server/core/cancel_job.h"
#include "server/core/list_jobs.h"
#include "server/core/retry_job.h"
#include "server/core/submit_job.h"
#include "server/core/update_job.h"
#include "server/core/watch_job.h"
#include "tests/server/core/await.h"

// Who asked for what is kept with jobs and told with what happened to them.
namespace tyllm::server::core {
namespace {

class WhoAsked : public FarmFixture {
 protected:
  JobId SubmitAs(const std::string& by, const std::string& request = "r") {
    domain::SubmitRequest asked{.request_id = request, .spec = Spec(JobKind::kConvert)};
    asked.spec.no_cache = true;
    asked.by = by;
    return *Await(core::Submit(*farm_, asked))->id;
  }

  Result<JobView> CancelAs(const std::string& by, JobId job) {
    domain::JobChange change;
    change.job = job;
    change.by = by;
    return Await(CancelJob(*farm_, change));
  }

  Result<JobView> RetryAs(const std::string& by, JobId job, const std::string& request) {
    domain::RetryRequest retry;
    retry.change.job = job;
    retry.change.request_id = request;
    retry.change.by = by;
    return Await(RetryJob(*farm_, retry));
  }

  /// "job accepted: 1 tasks (ada)", of events that somebody asked for.
  std::vector<std::string> Asked(JobId job) {
    std::vector<std::string> asked;
    JobWatch watch(*farm_, job, 0);
    const auto news = Await(watch.Next(Milliseconds(0)));
    for (const domain::JobEvent& event : news->events) {
      if (!event.by.empty()) {
        asked.push_back(event.text + " (" + event.by + ")");
      }
    }
    return asked;
  }
};

TEST_F(WhoAsked, AJobAndWhatIsDoneToItTellTheirNames) {
  const JobId job = SubmitAs("ada");
  EXPECT_EQ(Get(job).submitted_by, "ada");
  domain::UpdateRequest update;
  update.change.job = job;
  update.change.by = "bob";
  update.priority = 5;
  update.labels = {{"team", "vision"}};
  ASSERT_TRUE(Await(UpdateJob(*farm_, update)).ok());
  ASSERT_TRUE(Await(UpdateJob(*farm_, update)).ok()) << "changes nothing, and tells nothing";
  ASSERT_TRUE(CancelAs("eve", job).ok());
  const std::vector<std::string> expected = {
      "job accepted: 1 tasks (ada)",
      "the priority is 5 now, and the labels are others (bob)",
      "cancellation asked for (eve)",
  };
  EXPECT_EQ(Asked(job), expected);
  update.labels = {{"team", "text"}};
  update.priority.reset();
  EXPECT_TRUE(Await(UpdateJob(*farm_, update)).ok()) << "labels change after the end, too";
  EXPECT_EQ(Asked(job), expected);
}

TEST_F(WhoAsked, ARetriedJobStaysItsSubmittersWhoeverRetries) {
  const JobId first = SubmitAs("ada");
  ASSERT_TRUE(CancelAs("ada", first).ok());
  const auto second = RetryAs("bob", first, "again");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->submitted_by, "ada");
  EXPECT_EQ(Asked(second->id).front(), "job accepted: 1 tasks, 0 of them kept from j1 (bob)");
  // Of one whose submitter had no name it is who retries.
  const JobId nobodys = SubmitAs("", "s");
  ASSERT_TRUE(CancelAs("", nobodys).ok());
  EXPECT_EQ(RetryAs("bob", nobodys, "again2")->submitted_by, "bob");
}

TEST_F(WhoAsked, SomebodysJobsAreAListOfTheirOwn) {
  SubmitAs("ada", "a");
  SubmitAs("bob", "b");
  SubmitAs("ada", "c");
  domain::JobQuery query;
  query.submitted_by = "ada";
  query.page_size = 1;
  const auto page = Await(ListJobs(*farm_, query));
  ASSERT_EQ(page->jobs.size(), 1U);
  EXPECT_EQ(page->jobs.front().id, JobId{3});
  query.page_token = page->next_page_token;
  EXPECT_EQ(Await(ListJobs(*farm_, query))->jobs.front().id, JobId{1});
  query.submitted_by = "bob";
  EXPECT_EQ(Await(ListJobs(*farm_, query)).status().code(), StatusCode::kInvalidArgument)
      << "a token belongs to its filter";
}

}  // namespace
}  // namespace tyllm::server::core
