// SPDX-License-Identifier: Apache-2.0
#include "server/core/retry_job.h"
#include "tests/server/core/gpu_farm.h"

// A server that is not well takes nothing new, and all that its workers report.
namespace tyllm::server::core {
namespace {

class IntakeTest : public GpuFarm {
 protected:
  void Fill() { farm_->intake.Set(ResourceExhausted("the disk of /data has 3 MiB free")); }
};

TEST_F(IntakeTest, NewJobsAreRefusedWithTheReason) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  Fill();
  const auto refused = Submit("r", spec);
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_NE(refused.status().message().find("/data has 3 MiB free"), std::string::npos)
      << refused.status().message();
  farm_->intake.Set(OkStatus());
  EXPECT_TRUE(Submit("r", spec).ok());
}

TEST_F(IntakeTest, ARepeatedRequestFindsItsJob) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  const JobId job = Submit("r", spec)->id;
  Fill();
  const auto again = Submit("r", spec);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->id, job);
}

TEST_F(IntakeTest, NothingIsTriedAgainAsANewJob) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  ASSERT_TRUE(Cancel(job).ok());
  Fill();
  domain::RetryRequest retry;
  retry.change.job = job;
  retry.change.request_id = "again";
  EXPECT_EQ(Await(RetryJob(*farm_, retry)).status().code(), StatusCode::kResourceExhausted);
  farm_->intake.Set(OkStatus());
  EXPECT_TRUE(Await(RetryJob(*farm_, retry)).ok());
}

TEST_F(IntakeTest, WhatWorkersReportIsTaken) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  const BlobId output = Upload("out");
  const AttemptId id = Ask("w").at(0).id;
  Fill();
  EXPECT_TRUE(Append({.id = id, .from = {"w", "s1"}, .offset = 0, .data = "log\n"}).ok());
  Report("w", id, domain::Succeeded{output});
  EXPECT_EQ(Get(job).state, JobState::kSucceeded);
}

TEST_F(IntakeTest, AServerWhoseStorageIsBrokenIsUnavailable) {
  farm_->intake.Set(Unavailable("queue: the disk is broken"));
  EXPECT_EQ(Submit("r", Spec(JobKind::kConvert)).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tyllm::server::core
