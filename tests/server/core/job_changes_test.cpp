// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/co_spawn.hpp>

#include "server/core/cancel_job.h"
#include "server/core/capabilities.h"
#include "server/core/delete_job.h"
#include "server/core/explain_job.h"
#include "server/core/get_job.h"
#include "server/core/list_jobs.h"
#include "server/core/retention.h"
#include "server/core/retry_job.h"
#include "server/core/submit_job.h"
#include "server/core/update_job.h"
#include "server/core/wait_job.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class JobChanges : public FarmFixture {
 protected:
  static domain::JobChange Of(JobId job, const std::string& request = {},
                              const std::string& etag = {}) {
    return {job, request, etag};
  }

  Result<JobView> Update(const domain::UpdateRequest& request) {
    return Await(UpdateJob(*farm_, request));
  }

  Result<JobView> SetPriority(JobId job, std::int32_t priority, const std::string& request = {},
                              const std::string& etag = {}) {
    domain::UpdateRequest update;
    update.change = Of(job, request, etag);
    update.priority = priority;
    return Update(update);
  }

  Result<JobView> Retry(JobId job, const std::string& request, bool no_cache = false) {
    domain::RetryRequest retry;
    retry.change = Of(job, request);
    retry.no_cache = no_cache;
    return Await(RetryJob(*farm_, retry));
  }

  Status Delete(JobId job, const std::string& request = {}) {
    return Await(DeleteJob(*farm_, Of(job, request))).status();
  }

  Result<Submitted> Validate(const domain::JobSpec& spec) {
    domain::SubmitRequest request;
    request.spec = spec;
    request.validate_only = true;
    return Await(core::Submit(*farm_, request));
  }

  void Finish(const std::string& worker, const std::string& output) {
    const auto started = Ask(worker);
    ASSERT_EQ(started.size(), 1U);
    Report(worker, started[0].id, domain::Succeeded{Upload(output)});
  }

  /// A failure that is not tried again.
  void Fail(const std::string& worker) {
    const auto started = Ask(worker);
    ASSERT_EQ(started.size(), 1U);
    domain::Failure failure;
    failure.blame = domain::Blame::kUser;
    failure.reason = "BAD_ARGUMENTS";
    failure.message = "no such layer";
    Report(worker, started[0].id, failure);
  }
};

TEST_F(JobChanges, AnEtagOfAnotherStateChangesNothing) {
  const JobView job = *Submit("r", Spec(JobKind::kConvert));
  EXPECT_FALSE(job.etag.empty());
  const auto changed = SetPriority(job.id, 5, {}, job.etag);
  ASSERT_TRUE(changed.ok()) << changed.status().ToString();
  EXPECT_NE(changed->etag, job.etag);
  EXPECT_EQ(SetPriority(job.id, 7, {}, job.etag).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Get(job.id).priority, 5);
  EXPECT_EQ(Await(CancelJob(*farm_, Of(job.id, {}, job.etag))).status().code(),
            StatusCode::kAborted);
  EXPECT_TRUE(Await(CancelJob(*farm_, Of(job.id, {}, changed->etag))).ok());
}

TEST_F(JobChanges, ARequestThatCameBeforeDoesNothingAndShowsTheJobAsItIsNow) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  ASSERT_TRUE(SetPriority(job, 5, "u").ok());
  ASSERT_TRUE(SetPriority(job, 9, "v").ok());
  Restart();
  EXPECT_EQ(SetPriority(job, 5, "u")->priority, 9);
  EXPECT_EQ(SetPriority(job, 6, "u").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Submit("u", Spec(JobKind::kConvert)).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(SetPriority(job, 6, std::string(65, 'x')).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(JobChanges, LabelsAreSetRemovedAndReplaced) {
  domain::JobSpec spec = Spec(JobKind::kConvert);
  spec.labels = {{"team", "vision"}, {"run", "7"}};
  const JobId job = Submit("r", spec)->id;
  domain::UpdateRequest update;
  update.change = Of(job);
  update.labels = {{"run", std::nullopt}, {"owner", "ada"}};
  const std::map<std::string, std::string> both = {{"team", "vision"}, {"owner", "ada"}};
  EXPECT_EQ(Update(update)->labels, both);
  update.replaces_labels = true;
  update.labels = {{"a", "b"}};
  const std::map<std::string, std::string> only = {{"a", "b"}};
  EXPECT_EQ(Update(update)->labels, only);
  for (int i = 0; i < 65; ++i) {
    update.labels[std::to_string(i)] = "x";
  }
  EXPECT_EQ(Update(update).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(JobChanges, ARetryKeepsWhatWasMadeAndRunsTheRest) {
  domain::JobSpec spec = Spec(JobKind::kCompile);
  spec.no_cache = true;
  const JobId first = Submit("r", spec)->id;
  EXPECT_EQ(Retry(first, "x").status().code(), StatusCode::kFailedPrecondition);
  Finish("gpu1", "die0");
  Fail("gpu1");
  EXPECT_EQ(Show(first), "compile.die0 succeeded, assemble failed; failed");
  const auto second = Retry(first, "again");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->retry_of, first);
  EXPECT_EQ(Show(second->id), "compile.die0 succeeded, assemble queued; running");
  EXPECT_EQ(Retry(first, "again")->id, second->id);
  EXPECT_EQ(Show(first), "compile.die0 succeeded, assemble failed; failed");
  Finish("gpu1", "all");
  EXPECT_EQ(Get(second->id).state, JobState::kSucceeded);
  EXPECT_EQ(Retry(second->id, "third").status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(JobChanges, ADeletedJobIsGoneWithItsLogs) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  EXPECT_EQ(Delete(job).code(), StatusCode::kFailedPrecondition);
  const auto started = Ask("gpu1");
  domain::LogAppend append;
  append.id = started[0].id;
  append.from = {"gpu1", "s1"};
  append.data = "hello\n";
  ASSERT_TRUE(Append(append).ok());
  Report("gpu1", started[0].id, domain::Succeeded{Upload("out")});
  ASSERT_TRUE(Delete(job, "d").ok());
  EXPECT_EQ(Delete(job).code(), StatusCode::kNotFound);
  EXPECT_TRUE(Delete(job, "d").ok());
  EXPECT_TRUE(Await(logs_->Tasks())->empty());
  EXPECT_EQ(Submit("s", Spec(JobKind::kConvert))->state, JobState::kSucceeded);  // from the cache
}

TEST_F(JobChanges, WaitingEndsWithTheJobOrWithNews) {
  const JobView job = *Submit("r", Spec(JobKind::kConvert));
  domain::WaitRequest wait;
  wait.job = job.id;
  EXPECT_EQ(Await(WaitJob(*farm_, wait))->state, JobState::kQueued);
  wait.after_event = job.last_event - 1;
  wait.timeout_ms = 60'000;
  EXPECT_EQ(Await(WaitJob(*farm_, wait))->last_event, job.last_event);
  wait.after_event = 0;
  std::optional<Result<JobView>> ended;
  boost::asio::co_spawn(*control_, Keep(WaitJob(*farm_, wait), ended), boost::asio::detached);
  Finish("gpu1", "out");
  control_->restart();
  while (!ended) {
    ASSERT_GT(control_->run_one(), 0U);
  }
  EXPECT_EQ((*ended)->state, JobState::kSucceeded);
  wait.timeout_ms = -1;
  EXPECT_EQ(Await(WaitJob(*farm_, wait)).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(JobChanges, PagesFollowOneAnotherInEveryOrder) {
  for (int i = 0; i < 5; ++i) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.priority = i % 2;
    ASSERT_TRUE(Submit("r" + std::to_string(i), spec).ok());
  }
  domain::JobQuery query;
  query.page_size = 2;
  query.order = domain::JobOrder::kPriority;
  std::string all;
  do {
    const auto page = Await(ListJobs(*farm_, query));
    ASSERT_TRUE(page.ok()) << page.status().ToString();
    for (const JobView& job : page->jobs) {
      all += job.id.ToString() + " ";
      EXPECT_EQ(job.etag, Get(job.id).etag);
    }
    query.page_token = page->next_page_token;
  } while (!query.page_token.empty());
  EXPECT_EQ(all, "j2 j4 j1 j3 j5 ");
  query.page_size = 2;
  const auto page = Await(ListJobs(*farm_, query));
  query.page_token = page->next_page_token;
  query.name_prefix = "other";
  EXPECT_EQ(Await(ListJobs(*farm_, query)).status().code(), StatusCode::kInvalidArgument);
  query.page_token = "nonsense";
  EXPECT_EQ(Await(ListJobs(*farm_, query)).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(JobChanges, ValidationTellsEverythingAndQueuesNothing) {
  domain::JobSpec spec = Spec(JobKind::kCompile);
  auto answer = Validate(spec);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  const domain::Validation alone = *answer->validation;
  ASSERT_EQ(alone.problems.size(), 2U);  // one a task: nobody is there
  EXPECT_EQ(alone.problems[0].reason, domain::kNoWorkerReason);
  EXPECT_EQ(alone.expected_run_ms, -1);
  // Somebody comes, and has done the like before.
  ASSERT_TRUE(Submit("r", spec).ok());
  for (const char* output : {"die0", "all"}) {
    const auto started = Ask("gpu1");
    Advance(seconds(10));
    Report("gpu1", started[0].id, domain::Succeeded{Upload(output)});
  }
  const domain::Validation known = *Validate(spec)->validation;
  EXPECT_TRUE(known.problems.empty());
  EXPECT_TRUE(known.tasks[0].cached);
  EXPECT_TRUE(known.tasks[1].cached);
  EXPECT_EQ(known.expected_wait_ms, 0);
  EXPECT_EQ(known.expected_run_ms, 0);
  spec.no_cache = true;
  const domain::Validation again = *Validate(spec)->validation;
  EXPECT_FALSE(again.tasks[0].cached);
  EXPECT_EQ(again.tasks[0].eligible_workers, 1);
  EXPECT_EQ(again.expected_run_ms, 20'000);  // one after the other
  EXPECT_EQ(again.expected_run_low_ms, 20'000);
  EXPECT_EQ(again.expected_run_high_ms, 20'000);
  // And the like took longer once, with more memory.
  ASSERT_TRUE(Submit("s", spec).ok());
  const auto slow = Ask("gpu1");
  Advance(seconds(40));
  SyncRequest report = From("gpu1", {{.id = slow.at(0).id,
                                      .progress = {},
                                      .outcome = domain::Succeeded{Upload("die0")},
                                      .used = {.memory_bytes = 5000}}});
  ASSERT_TRUE(Sync(report).ok());
  const domain::Validation slower = *Validate(spec)->validation;
  EXPECT_EQ(slower.tasks[0].expected_run_low_ms, 10'000);
  EXPECT_EQ(slower.tasks[0].expected_run_high_ms, 40'000);
  EXPECT_EQ(slower.tasks[0].expected.memory_bytes, 5000);
  EXPECT_EQ(slower.expected_run_low_ms, 20'000);
  EXPECT_EQ(slower.expected_run_high_ms, 50'000);
  EXPECT_EQ(Await(ListJobs(*farm_, {}))->jobs.size(), 2U);
}

TEST_F(JobChanges, ValidationListsMissingBlobsQuotasAndWrongFields) {
  domain::JobSpec spec = Spec(JobKind::kQuantize);
  spec.calibration = BlobId{DigestOf(std::string_view("absent")), 20};
  const domain::Validation missing = *Validate(spec)->validation;
  ASSERT_FALSE(missing.problems.empty());
  EXPECT_EQ(missing.problems[0].reason, domain::kMissingBlobsReason);
  EXPECT_EQ(missing.problems[0].field, "spec.calibration");
  EXPECT_EQ(missing.problems[0].missing.size(), 1U);
  domain::JobSpec wrong = Spec(JobKind::kCompile);
  wrong.compile.dies = 17;
  const domain::Validation refused = *Validate(wrong)->validation;
  ASSERT_EQ(refused.problems.size(), 1U);
  EXPECT_EQ(refused.problems[0].field, "spec.compile.dies");
}

TEST_F(JobChanges, AnExplanationTellsKeysAttemptsAndDecisions) {
  const JobId job = Submit("r", Spec(JobKind::kCompile))->id;
  Fail("gpu1");
  const auto explanation = Await(ExplainJob(*farm_, job));
  ASSERT_TRUE(explanation.ok()) << explanation.status().ToString();
  ASSERT_EQ(explanation->tasks.size(), 2U);
  const domain::TaskExplanation& die = explanation->tasks[0];
  EXPECT_EQ(die.action_key.size(), 64U);
  EXPECT_EQ(die.cache, domain::CacheUse::kMiss);
  ASSERT_EQ(die.attempts.size(), 1U);
  EXPECT_EQ(die.attempts[0].ending, domain::Ending::kFailed);
  EXPECT_EQ(die.attempts[0].failure->reason, "BAD_ARGUMENTS");
  ASSERT_EQ(die.decisions.size(), 2U);
  EXPECT_NE(die.decisions[0].text.find("goes to gpu1"), std::string::npos);
  EXPECT_NE(die.decisions[1].text.find("not tried again"), std::string::npos);
  const domain::TaskExplanation& assemble = explanation->tasks[1];
  EXPECT_EQ(assemble.needs, std::vector<std::string>{"compile.die0"});
  EXPECT_TRUE(assemble.action_key.empty());
  const auto detail = Await(GetTask(*farm_, die.task.id));
  EXPECT_TRUE(detail->inputs_known);
  EXPECT_EQ(detail->spec.kind, domain::TaskKind::kCompileDie);
  EXPECT_FALSE(Await(GetTask(*farm_, assemble.task.id))->inputs_known);
}

TEST_F(JobChanges, WhatIsOldGoesAndWhatIsNeededStays) {
  limits_.job_keep = hours(48);
  limits_.result_keep = hours(72);
  Restart();
  const BlobId orphan = *blobs_->WriteSmall("nobody wants this");
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  const JobId old = Submit("r", spec)->id;
  Finish("gpu1", "out");
  ASSERT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(Get(old).state, JobState::kSucceeded);
  Advance(hours(50));
  const JobId young = Submit("s", Spec(JobKind::kQuantize))->id;
  ASSERT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(Await(GetJob(*farm_, old)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Submit("r", spec)->state, JobState::kSucceeded);  // the id is forgotten, not the result
  EXPECT_EQ(Get(young).state, JobState::kQueued);
  EXPECT_TRUE(*blobs_->Has(orphan));  // by the disk's clock it is new
}

TEST_F(JobChanges, CapabilitiesTellWhatIsLeftOfAQuota) {
  const auto capabilities = Await(GetCapabilities(*farm_, ""));
  ASSERT_TRUE(capabilities.ok());
  EXPECT_EQ(capabilities->server_version, farm_->parts.version);
  EXPECT_FALSE(capabilities->queued_jobs_left.has_value());
  EXPECT_EQ(Await(GetCapabilities(*farm_, "No Name")).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::server::core
