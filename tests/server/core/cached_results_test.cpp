// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <boost/asio/co_spawn.hpp>

#include "server/core/action_cache.h"
#include "server/core/retry_job.h"
#include "server/core/sync_worker.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using std::chrono::seconds;

/// A blob store on a disk of which some files cannot be read.
class PartlyUnreadable final : public blobs::BlobStore {
 public:
  explicit PartlyUnreadable(std::unique_ptr<blobs::BlobStore> whole) : whole_(std::move(whole)) {}

  std::set<BlobId> unreadable;
  int tried = 0;  ///< to read one of those

  Result<bool> Has(const BlobId& id) override { return whole_->Has(id); }

  Result<std::uint64_t> UploadOffset(const BlobId& id) override { return whole_->UploadOffset(id); }

  Result<std::unique_ptr<blobs::BlobWriter>> StartUpload(const BlobId& id,
                                                         std::uint64_t offset) override {
    return whole_->StartUpload(id, offset);
  }

  Result<std::unique_ptr<blobs::BlobReader>> OpenRead(const BlobId& id, std::uint64_t offset,
                                                      std::uint64_t limit) override {
    if (unreadable.contains(id)) {
      ++tried;
      return Unavailable("opening " + id.ToString() + ": Input/output error");
    }
    return whole_->OpenRead(id, offset, limit);
  }

  Result<std::string> ReadSetAside(const BlobId& id, std::uint64_t limit) override {
    return whole_->ReadSetAside(id, limit);
  }

  std::vector<Status> WriteTogether(std::span<const Content> blobs) override {
    return whole_->WriteTogether(blobs);
  }

  std::uint64_t TotalBytes() override { return whole_->TotalBytes(); }

  void NoteUse(const BlobId& id) override { whole_->NoteUse(id); }

  Result<Removed> RemoveUnused(std::span<const BlobId> used, std::int64_t before) override {
    return whole_->RemoveUnused(used, before);
  }

  Status DropStaleUploads(std::int64_t before) override { return whole_->DropStaleUploads(before); }

 private:
  const std::unique_ptr<blobs::BlobStore> whole_;
};

class CachedResults : public FarmFixture {
 protected:
  CachedResults() {
    auto disk = std::make_unique<PartlyUnreadable>(std::move(blobs_));
    disk_ = disk.get();
    blobs_ = std::move(disk);
    Restart();
  }

  domain::JobSpec SpecOf(const std::string& model) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload(model);
    return spec;
  }

  /// A job on this model, done.
  void Do(const std::string& model) {
    ASSERT_TRUE(Submit("first " + model, SpecOf(model)).ok());
    const auto given = Ask("gpu1");
    ASSERT_EQ(given.size(), 1U);
    Report("gpu1", given[0].id, domain::Succeeded{ResultOf(model)});
  }

  BlobId ResultOf(const std::string& model) { return Upload("result of " + model); }

  /// A job that waits for the result of one that runs, which is reported and not yet handed down.
  JobId Joined(const std::string& model) {
    EXPECT_TRUE(Submit("first " + model, SpecOf(model)).ok());
    const auto given = Ask("gpu1");
    EXPECT_EQ(given.size(), 1U);
    const JobId joined = Submit("joined " + model, SpecOf(model))->id;
    const auto reply =
        Await(SyncWorker(*farm_, From("gpu1", {{.id = given.at(0).id,
                                                .progress = {},
                                                .outcome = domain::Succeeded{ResultOf(model)}}})));
    EXPECT_TRUE(reply.ok()) << reply.status().ToString();
    EXPECT_EQ(reply->acknowledged.size(), 1U);
    return joined;
  }

  PartlyUnreadable* disk_ = nullptr;
};

TEST_F(CachedResults, OneThatCannotBeReadKeepsNoOtherFromBeingUsed) {
  Do("a");
  const JobId other = Joined("b");
  disk_->unreadable.insert(ResultOf("a"));
  const auto waits = Submit("again", SpecOf("a"));
  ASSERT_TRUE(waits.ok()) << waits.status().ToString();
  EXPECT_EQ(waits->state, JobState::kQueued);
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(other).state, JobState::kSucceeded);
  EXPECT_EQ(Get(waits->id).state, JobState::kQueued);
  disk_->unreadable.clear();
  Advance(UnreadResults::kPause);
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(waits->id).state, JobState::kSucceeded) << "the disk is well again";
}

TEST_F(CachedResults, OneThatCannotBeReadIsForgottenAfterAFewTries) {
  Do("a");
  disk_->unreadable.insert(ResultOf("a"));
  const JobId waits = Submit("again", SpecOf("a"))->id;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Settle().ok()) << "in between it is left alone";
  }
  EXPECT_EQ(disk_->tried, 1);
  EXPECT_TRUE(Ask("gpu1").empty());
  for (int i = 1; i < UnreadResults::kTries; ++i) {
    Advance(UnreadResults::kPause);
    EXPECT_TRUE(Settle().ok());
  }
  EXPECT_EQ(disk_->tried, UnreadResults::kTries);
  const auto given = Ask("gpu1");
  ASSERT_EQ(given.size(), 1U) << "the task runs";
  disk_->unreadable.clear();
  Report("gpu1", given[0].id, domain::Succeeded{ResultOf("a")});
  EXPECT_EQ(Get(waits).state, JobState::kSucceeded);
}

TEST_F(CachedResults, AServerStartsWhereOneCannotBeRead) {
  const JobId waits = Joined("a");
  disk_->unreadable.insert(ResultOf("a"));
  Restart();  // and expects that Recover succeeds
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(waits).state, JobState::kQueued);
}

TEST_F(CachedResults, OneThatRottedIsMadeAgainAfterAStart) {
  const JobId waits = Joined("a");
  const std::string hex = ResultOf("a").sha256.Hex();
  const Path file = folder_ / "blobs" / "complete" / hex.substr(0, 2) / hex;
  {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(20);
    bytes.put('#');
  }
  Restart();
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(waits).state, JobState::kQueued);
  EXPECT_EQ(Ask("gpu2").size(), 1U);
}

TEST_F(CachedResults, AReportIsAnsweredBeforeItsResultIsHandedDown) {
  const JobId joined = Joined("a");
  EXPECT_EQ(Get(joined).state, JobState::kQueued);
  EXPECT_TRUE(Ask("gpu2").empty()) << "nobody gets it meanwhile";
  EXPECT_EQ(Get(joined).state, JobState::kSucceeded);
}

TEST_F(CachedResults, AReportWakesWhoHandsItsResultDown) {
  bool ended = false;
  boost::asio::co_spawn(*control_, UseCachedResultsForever(*farm_),
                        [&](const std::exception_ptr& /*error*/) { ended = true; });
  const auto run_one = [&] {
    control_->restart();
    ASSERT_GT(control_->run_one_for(seconds(30)), 0U);
  };
  const JobId joined = Joined("a");
  while (Get(joined).state != JobState::kSucceeded && !HasFailure()) {
    run_one();
  }
  farm_->Stop();
  farm_->signals.Notify(Topic::Results());
  while (!ended && !HasFailure()) {
    run_one();
  }
}

TEST_F(CachedResults, ManyAreHandedDownEachOnce) {
  const JobId first = Joined("a");
  std::vector<JobId> joined;
  for (int i = 0; i < 200; ++i) {
    domain::JobSpec spec = SpecOf("c");
    joined.push_back(Submit("c" + std::to_string(i), spec)->id);
  }
  const auto given = Ask("gpu1");
  ASSERT_EQ(given.size(), 1U);
  Advance(seconds(1));
  Report("gpu1", given[0].id, domain::Succeeded{ResultOf("c")});
  for (const JobId job : joined) {
    EXPECT_EQ(Get(job).state, JobState::kSucceeded);
  }
  EXPECT_EQ(Get(first).state, JobState::kSucceeded);
  EXPECT_EQ(Counted("tyllm_cache_merged_total{kind=\"convert\"}"), "199");
}

TEST_F(CachedResults, ASubmissionWaitsForItsOwnResultsOnly) {
  Do("b");
  const JobId joined = Joined("a");
  EXPECT_EQ(Submit("b again", SpecOf("b"))->state, JobState::kSucceeded);
  EXPECT_EQ(Get(joined).state, JobState::kQueued);
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(joined).state, JobState::kSucceeded);
}

TEST_F(CachedResults, AServerThatStopsDoesNotFinishThemFirst) {
  const JobId joined = Joined("a");
  farm_->Stop();
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(joined).state, JobState::kQueued);
  Restart();
  EXPECT_TRUE(Settle().ok());
  EXPECT_EQ(Get(joined).state, JobState::kSucceeded);
}

TEST_F(CachedResults, ARetryMakesAgainWhatCannotBeRead) {
  domain::JobSpec spec = Spec(JobKind::kCompile, 2);
  const JobId job = Submit("compile", spec)->id;
  const auto given = Ask("gpu1");
  ASSERT_EQ(given.size(), 1U);
  const SyncReply next = Report("gpu1", given[0].id, domain::Succeeded{Upload("die0")});
  ASSERT_EQ(next.start.size(), 1U);
  ASSERT_TRUE(Cancel(job).ok());
  Report("gpu1", next.start[0].id, domain::Stopped{});
  disk_->unreadable.insert(Upload("die0"));
  domain::RetryRequest request;
  request.change.job = job;
  request.change.request_id = "retry";
  const auto retried = Await(RetryJob(*farm_, request));
  ASSERT_TRUE(retried.ok()) << retried.status().ToString();
  EXPECT_EQ(retried->tasks[0].state, TaskState::kQueued);
}

}  // namespace
}  // namespace tyllm::server::core
