// SPDX-License-Identifier: Apache-2.0
#include "server/core/forget_results.h"

#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using domain::ForgetRequest;
using domain::ForgottenResults;

class ForgetResultsTest : public FarmFixture {
 protected:
  domain::JobSpec SpecOf(const std::string& model) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload(model);
    return spec;
  }

  /// A job on this model, done by that worker.
  JobView Do(const std::string& model, const std::string& worker) {
    const auto job = Submit(model + " " + std::to_string(++requests_), SpecOf(model));
    EXPECT_TRUE(job.ok()) << job.status().ToString();
    const auto given = Ask(worker);
    EXPECT_EQ(given.size(), 1U);
    if (!given.empty()) {
      Report(worker, given[0].id, domain::Succeeded{Upload("result of " + model)});
    }
    return Get(job->id);
  }

  /// Whether a job on this model need not run.
  bool IsKept(const std::string& model) {
    const auto job = Submit(model + " " + std::to_string(++requests_), SpecOf(model));
    EXPECT_TRUE(job.ok()) << job.status().ToString();
    EXPECT_TRUE(Settle().ok());
    const bool kept = Get(job->id).state == JobState::kSucceeded;
    EXPECT_TRUE(kept || Cancel(job->id).ok());
    return kept;
  }

  Result<ForgottenResults> Forget(const ForgetRequest& request) {
    return Await(ForgetResults(*farm_, request));
  }

  int requests_ = 0;
};

TEST_F(ForgetResultsTest, WhatABadMachineMadeIsMadeAgain) {
  const JobView bad = Do("a", "gpu1");
  Do("b", "gpu2");
  EXPECT_TRUE(IsKept("a"));
  EXPECT_EQ(*Forget({.which = {.worker = "gpu1"}, .validate_only = true}),
            (ForgottenResults{.results = 1}));
  EXPECT_TRUE(IsKept("a")) << "only counted";
  EXPECT_EQ(*Forget({.which = {.worker = "gpu1"}}), (ForgottenResults{.results = 1}));
  EXPECT_FALSE(IsKept("a"));
  EXPECT_TRUE(IsKept("b"));
  EXPECT_EQ(Get(bad.id), bad) << "what has ended stays as it is";
  EXPECT_EQ(*Forget({.which = {.worker = "gpu1"}}), ForgottenResults{});
}

TEST_F(ForgetResultsTest, ATaskThatWasToUseOneRuns) {
  Do("a", "gpu1");
  Restart();  // nothing hands results down before the next sweep
  ASSERT_TRUE(Submit("waits", SpecOf("a")).ok());
  ASSERT_TRUE(Forget({.which = {.made_before_unix_ms = clock_.UnixMillis() + 1}}).ok());
  EXPECT_TRUE(Settle().ok());
  Do("a", "gpu2");
  EXPECT_TRUE(IsKept("a"));
}

TEST_F(ForgetResultsTest, ARepeatedRequestForgetsNothingThatWasMadeSince) {
  Do("a", "gpu1");
  const ForgetRequest request{.request_id = "r", .which = {.worker = "gpu1"}};
  EXPECT_EQ(Forget(request)->results, 1);
  Do("a", "gpu1");
  EXPECT_EQ(*Forget(request), ForgottenResults{});
  EXPECT_TRUE(IsKept("a"));
  EXPECT_EQ(Forget({.request_id = "r", .which = {.worker = "gpu2"}}).status().code(),
            StatusCode::kAlreadyExists);
}

TEST_F(ForgetResultsTest, NothingSelectedAndIdsThatAreNotThereAreRefused) {
  EXPECT_EQ(Forget({}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Forget({.which = {.made_from_unix_ms = -1}}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Forget({.which = {.job = JobId{9}}}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Forget({.which = {.task = TaskId{9}}}).status().code(), StatusCode::kNotFound);
  const JobView job = Do("a", "gpu1");
  EXPECT_EQ(Forget({.which = {.job = job.id, .unknown_maker = true}}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Forget({.which = {.job = job.id}})->results, 1);
}

}  // namespace
}  // namespace tyllm::server::core
