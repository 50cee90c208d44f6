// SPDX-License-Identifier: Apache-2.0
#include "server/core/checkpoints.h"

#include "server/core/end_attempts.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

/// Unfinished work between attempts, as the server keeps it.
class CheckpointsTest : public FarmFixture {
 protected:
  HeldAttempt Running(const AttemptId& id, const BlobId& tree, std::int64_t done = 1) {
    HeldAttempt held{.id = id, .progress = {.stage = "pack"}, .outcome = {}};
    held.checkpoint = domain::Checkpoint{.tree = tree, .stage = "pack", .done = done, .total = 9};
    return held;
  }

  /// The tree that the next attempt is to go on from.
  std::optional<BlobId> NextFrom(const std::string& worker) {
    const auto started = Ask(worker);
    EXPECT_EQ(started.size(), 1U);
    if (started.empty() || !started[0].checkpoint) {
      return std::nullopt;
    }
    return started[0].checkpoint->tree;
  }
};

TEST_F(CheckpointsTest, TheNextAttemptGoesOnFromTheNewestOfTheLostOne) {
  const JobId job = Submit("r", Spec(JobKind::kQuantize))->id;
  const auto first = Ask("gpu1").at(0);
  EXPECT_FALSE(first.checkpoint.has_value());
  ASSERT_TRUE(Sync(From("gpu1", {Running(first.id, Upload("layer 1"))})).ok());
  ASSERT_TRUE(Sync(From("gpu1", {Running(first.id, Upload("layers 1 and 2"), 2)})).ok());
  EXPECT_EQ(Get(job).tasks[0].checkpoint->done, 2);
  Report("gpu1", first.id, domain::Stopped{});
  EXPECT_EQ(NextFrom("gpu2"), Upload("layers 1 and 2"));
}

TEST_F(CheckpointsTest, ItSurvivesTheServer) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kQuantize)).ok());
  const AttemptId id = Ask("gpu1").at(0).id;
  const BlobId tree = Upload("layer 1");
  ASSERT_TRUE(Sync(From("gpu1", {Running(id, tree)})).ok());
  Restart();
  Report("gpu1", id, domain::Stopped{});
  EXPECT_EQ(NextFrom("gpu2"), tree);
}

TEST_F(CheckpointsTest, ATreeThatIsNotThereYetIsTakenWhenItIs) {
  const JobId job = Submit("r", Spec(JobKind::kQuantize))->id;
  const AttemptId id = Ask("gpu1").at(0).id;
  const format::Tree tree{{{.path = "f", .blob = {DigestOf(std::string_view("later")), 5}}}};
  const HeldAttempt held = Running(id, format::IdOf(tree));
  ASSERT_TRUE(Sync(From("gpu1", {held})).ok());
  EXPECT_FALSE(Get(job).tasks[0].checkpoint.has_value());
  ASSERT_TRUE(blobs_->WriteSmall(format::ToText(tree)).ok());
  ASSERT_TRUE(blobs_->WriteSmall("later").ok());
  ASSERT_TRUE(Sync(From("gpu1", {held})).ok());
  EXPECT_TRUE(Get(job).tasks[0].checkpoint.has_value());
}

TEST_F(CheckpointsTest, AStaleWorkersIsNotTaken) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kQuantize)).ok());
  const AttemptId first = Ask("gpu1").at(0).id;
  Report("gpu1", first, domain::Stopped{});
  const AttemptId second = Ask("gpu2").at(0).id;
  ASSERT_TRUE(Sync(From("gpu1", {Running(first, Upload("stale"))})).ok());
  Report("gpu2", second, domain::Stopped{});
  EXPECT_EQ(NextFrom("gpu2"), std::nullopt);
}

TEST_F(CheckpointsTest, AfterACrashOfTheToolchainTheNextAttemptBeginsAnew) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kQuantize)).ok());
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Sync(From("gpu1", {Running(id, Upload("layer 1"))})).ok());
  const domain::Failure crash{.blame = domain::Blame::kToolchain,
                              .reason = "CRASHED",
                              .message = "signal 11",
                              .retryable = true};
  Report("gpu1", id, crash);
  Advance(std::chrono::hours(1));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(NextFrom("gpu2"), std::nullopt);
}

TEST_F(CheckpointsTest, ACrashOfAnAttemptThatIsOverTakesNothingFromTheNext) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kQuantize)).ok());
  const AttemptId first = Ask("gpu1").at(0).id;
  const auto held = Await(store_->Look([](store::Queue& queue) { return queue.HeldBy("gpu1"); }));
  Report("gpu1", first, domain::Stopped{});
  const AttemptId second = Ask("gpu2").at(0).id;
  const BlobId tree = Upload("layer 1");
  ASSERT_TRUE(Sync(From("gpu2", {Running(second, tree)})).ok());
  const domain::Failure crash{.blame = domain::Blame::kToolchain, .reason = "CRASHED"};
  const Ended late{.task = held->at(0), .ending = sched::Ending::kFailed, .reported = crash};
  ASSERT_TRUE(Await(EndAttempts(*farm_, {late})).ok());
  Report("gpu2", second, domain::Stopped{});
  EXPECT_EQ(NextFrom("gpu2"), tree);
}

TEST_F(CheckpointsTest, ALaterJobOfTheSameActionGoesOnFromItUnlessItWantsNoCache) {
  const JobId job = Submit("r", Spec(JobKind::kQuantize))->id;
  const AttemptId id = Ask("gpu1").at(0).id;
  const BlobId tree = Upload("layer 1");
  ASSERT_TRUE(Sync(From("gpu1", {Running(id, tree)})).ok());
  ASSERT_TRUE(Cancel(job).ok());
  Report("gpu1", id, domain::Stopped{});
  const JobId later = Submit("r2", Spec(JobKind::kQuantize))->id;
  const auto second = Ask("gpu2").at(0);
  ASSERT_TRUE(second.checkpoint.has_value());
  EXPECT_EQ(second.checkpoint->tree, tree);
  ASSERT_TRUE(Cancel(later).ok());
  Report("gpu2", second.id, domain::Stopped{});
  domain::JobSpec afresh = Spec(JobKind::kQuantize);
  afresh.no_cache = true;
  ASSERT_TRUE(Submit("r3", afresh).ok());
  EXPECT_EQ(NextFrom("gpu1"), std::nullopt);
}

TEST_F(CheckpointsTest, WhatNobodyGoesOnFromIsForgottenInTheEnd) {
  const JobId job = Submit("r", Spec(JobKind::kQuantize))->id;
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Sync(From("gpu1", {Running(id, Upload("layer 1"))})).ok());
  ASSERT_TRUE(Cancel(job).ok());
  Report("gpu1", id, domain::Stopped{});
  Advance(limits_.checkpoint_keep + std::chrono::hours(2));
  ASSERT_TRUE(Sweep().ok());
  ASSERT_TRUE(Submit("r2", Spec(JobKind::kQuantize)).ok());
  EXPECT_EQ(NextFrom("gpu1"), std::nullopt);
}

}  // namespace
}  // namespace tyllm::server::core
