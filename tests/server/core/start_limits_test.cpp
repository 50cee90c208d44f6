// SPDX-License-Identifier: Apache-2.0
#include "server/core/get_job.h"
#include "server/core/list_jobs.h"
#include "server/core/retry_job.h"
#include "server/core/submit_job.h"
#include "tests/server/core/await.h"

// Jobs that cannot start do not wait for ever, where that was asked for.
namespace tyllm::server::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class StartLimits : public FarmFixture {
 protected:
  /// Asks for more GPU memory than workers here have.
  domain::JobSpec Large() {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.requirements = {{"gpu_memory_bytes", domain::MatchRule::kMinimum, "80000000000"}};
    spec.start_within_ms = 600'000;
    return spec;
  }

  void CallWithSmallGpu() {
    SyncRequest call = From("gpu1");
    call.capabilities.gpus = 1;
    call.capabilities.gpu_memory_bytes = 24LL << 30;
    ASSERT_TRUE(Sync(call).ok());
  }

  Result<Submitted> SubmitOrRefuse(const std::string& request, const domain::JobSpec& spec) {
    domain::SubmitRequest asked{.request_id = request, .spec = spec, .refuse_if_no_worker = true};
    return Await(core::Submit(*farm_, asked));
  }
};

TEST_F(StartLimits, AJobThatNobodyCanTakeIsGivenUpAndSaysWhatItWaitedFor) {
  const JobId job = Submit("r", Large())->id;
  EXPECT_EQ(Get(job).start_by_unix_ms, Get(job).created_unix_ms + 600'000);
  Advance(minutes(10) - seconds(1));
  CallWithSmallGpu();
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(job).state, JobState::kQueued);
  Advance(seconds(1));
  ASSERT_TRUE(Sweep().ok());
  const JobView ended = Get(job);
  EXPECT_EQ(ended.state, JobState::kFailed);
  const domain::Failure& failure = *ended.failure;
  EXPECT_EQ(failure.reason, "NOT_STARTED");
  EXPECT_EQ(failure.blame, domain::Blame::kFarm);
  EXPECT_FALSE(failure.retryable);
  EXPECT_NE(failure.message.find("none of its tasks began within 600 s; at the end, convert: none "
                                 "of 1 worker can take it: gpu_memory_bytes is to be at least"),
            std::string::npos)
      << failure.message;
  EXPECT_TRUE(failure.message.ends_with("the best on offer is 24.0 GiB")) << failure.message;
  EXPECT_NE(failure.action.find("tyllm-client retry j1"), std::string::npos) << failure.action;
  // Again, with as much time.
  domain::RetryRequest retry;
  retry.change.job = job;
  retry.change.request_id = "again";
  const auto second = Await(RetryJob(*farm_, retry));
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->start_by_unix_ms, second->created_unix_ms + 600'000);
}

TEST_F(StartLimits, AJobThatWaitsItsTurnSaysThat) {
  domain::JobSpec spec = Spec(JobKind::kConvert);
  spec.no_cache = true;
  ASSERT_TRUE(Submit("first", spec).ok());
  ASSERT_EQ(Ask("w").size(), 1U);
  spec.start_within_ms = 1500;
  const JobId job = Submit("second", spec)->id;
  Advance(seconds(2));
  ASSERT_TRUE(
      Sync(From("w", {{.id = {TaskId{1}, 1}, .progress = {}, .outcome = domain::Running{}}})).ok());
  ASSERT_TRUE(Sweep().ok());
  const JobView ended = Get(job);
  ASSERT_EQ(ended.state, JobState::kFailed);
  EXPECT_NE(ended.failure->message.find("within 1500 ms; at the end, convert: 1 worker could take "
                                        "it, all are busy"),
            std::string::npos)
      << ended.failure->message;
}

TEST_F(StartLimits, AJobThatHasBegunIsLeftAlone) {
  domain::JobSpec spec = Spec(JobKind::kConvert);
  spec.start_within_ms = 5000;
  const JobId job = Submit("r", spec)->id;
  ASSERT_EQ(Ask("w").size(), 1U);
  EXPECT_EQ(Get(job).start_by_unix_ms, 0);
  Advance(seconds(6));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(job).state, JobState::kRunning);
}

TEST_F(StartLimits, TimeInWhichTheServerWasDownCountsButWorkersMayCallFirst) {
  domain::JobSpec spec = Spec(JobKind::kConvert);
  spec.no_cache = true;
  spec.start_within_ms = 60'000;
  const JobId first = Submit("a", spec)->id;
  const JobId second = Submit("b", spec)->id;
  Advance(minutes(5));
  Restart();
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(first).state, JobState::kQueued) << "nobody could have called yet";
  ASSERT_EQ(Ask("w").size(), 1U);
  // One that came since has only its own time.
  spec.start_within_ms = 2000;
  const JobId young = Submit("c", spec)->id;
  Advance(seconds(2));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(young).state, JobState::kFailed);
  EXPECT_EQ(Get(second).state, JobState::kQueued);
  Advance(limits_.policy.Presence() - seconds(2));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(second).state, JobState::kFailed);
  EXPECT_NE(Get(first).failure.value_or(domain::Failure{}).reason, "NOT_STARTED") << "it began";
}

TEST_F(StartLimits, AJobThatNobodyCanTakeIsRefusedWhereThatWasAskedFor) {
  const auto refused = SubmitOrRefuse("r", Large());
  ASSERT_TRUE(refused.ok()) << refused.status().ToString();
  ASSERT_EQ(refused->refused.size(), 1U);
  EXPECT_EQ(refused->refused[0].reason, domain::kNoWorkerReason);
  EXPECT_NE(refused->refused[0].message.find("no worker is online; start a worker"),
            std::string::npos)
      << refused->refused[0].message;
  CallWithSmallGpu();
  const auto too_small = SubmitOrRefuse("r", Large());
  ASSERT_EQ(too_small->refused.size(), 1U);
  EXPECT_NE(too_small->refused[0].message.find("the best on offer is 24.0 GiB"), std::string::npos)
      << too_small->refused[0].message;
  EXPECT_TRUE(Await(ListJobs(*farm_, {}))->jobs.empty());
  EXPECT_TRUE(SubmitOrRefuse("s", Spec(JobKind::kConvert))->id.has_value()) << "somebody takes it";
}

TEST_F(StartLimits, NothingIsRefusedThatWasMadeBeforeOrNeedsNobody) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("r", spec).ok());
  const auto again = SubmitOrRefuse("r", spec);
  ASSERT_TRUE(again->refused.empty()) << again->refused[0].message;
  EXPECT_TRUE(again->already_made);
  const auto started = Ask("w");
  ASSERT_EQ(started.size(), 1U);
  Report("w", started[0].id, domain::Succeeded{Upload("out")});
  Advance(minutes(10));  // the worker has gone
  const auto cached = SubmitOrRefuse("s", spec);
  ASSERT_TRUE(cached->refused.empty()) << cached->refused[0].message;
  EXPECT_EQ(cached->job->state, JobState::kSucceeded);
}

TEST_F(StartLimits, ALimitIsATimeOfUpToAYear) {
  domain::JobSpec spec = Spec(JobKind::kConvert);
  for (const std::int64_t wrong :
       {std::int64_t{0}, std::int64_t{-5}, domain::kLongestStartWithinMs + 1}) {
    spec.start_within_ms = wrong;
    EXPECT_EQ(Submit("r", spec).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
  spec.start_within_ms = domain::kLongestStartWithinMs;
  EXPECT_TRUE(Submit("r", spec).ok());
}

}  // namespace
}  // namespace tyllm::server::core
