// SPDX-License-Identifier: Apache-2.0
#include "server/core/retention.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "server/core/action_cache.h"
#include "server/core/delete_job.h"
#include "server/core/get_job.h"
#include "server/core/trees.h"
#include "server/core/update_job.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using std::chrono::hours;

/// Which blobs go, and above all which stay. A blob's age is that of its file.
class RetentionTest : public FarmFixture {
 protected:
  Path FileOf(const BlobId& blob) const {
    const std::string hex = blob.sha256.Hex();
    return folder_ / "blobs" / "complete" / hex.substr(0, 2) / hex;
  }

  void Age(const Path& file, Milliseconds age) {
    const std::chrono::sys_time<Milliseconds> then(Milliseconds(clock_.UnixMillis()) - age);
    std::filesystem::last_write_time(file, std::chrono::file_clock::from_sys(then));
  }

  /// Everything that is stored was last used so long ago.
  void AgeAll(Milliseconds age = hours(24 * 3650)) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_ / "blobs" / "complete")) {
      if (entry.is_regular_file()) {
        Age(entry.path(), age);
      }
    }
  }

  /// How many went.
  std::int64_t Collect() {
    const auto removed = Await(CollectBlobs(*farm_));
    EXPECT_TRUE(removed.ok()) << removed.status().ToString();
    return removed.ok() ? removed->blobs : -1;
  }

  /// The tree and all its files are there.
  bool IsWhole(const BlobId& tree) {
    const auto check = Await(CheckTree(*farm_, tree));
    EXPECT_TRUE(check.ok()) << check.status().ToString();
    return check.ok() && check->missing.empty();
  }

  HeldAttempt WithCheckpoint(const AttemptId& id, const BlobId& tree) {
    HeldAttempt held{.id = id, .progress = {.stage = "pack"}, .outcome = {}};
    held.checkpoint = domain::Checkpoint{.tree = tree, .stage = "pack", .done = 1, .total = 9};
    return held;
  }
};

TEST_F(RetentionTest, WhatNobodyWantsGoesWhenItsGraceTimeIsOver) {
  const BlobId orphan = *blobs_->WriteSmall("nobody wants this");
  const BlobId tree = Upload("nor this");
  AgeAll(limits_.blob_keep - hours(1));
  EXPECT_EQ(Collect(), 0);
  EXPECT_TRUE(*blobs_->Has(orphan));
  AgeAll(limits_.blob_keep + hours(1));
  EXPECT_EQ(Collect(), 3);
  EXPECT_FALSE(*blobs_->Has(orphan));
  EXPECT_FALSE(*blobs_->Has(tree));
  EXPECT_EQ(blobs_->TotalBytes(), 0U);
}

TEST_F(RetentionTest, WithoutAGraceTimeNothingEverGoes) {
  limits_.blob_keep = Milliseconds(0);
  Restart();
  const BlobId orphan = *blobs_->WriteSmall("nobody wants this");
  AgeAll();
  EXPECT_EQ(Collect(), 0);
  EXPECT_TRUE(*blobs_->Has(orphan));
}

TEST_F(RetentionTest, InputsOfAWaitingJobStayHoweverOldTheyAre) {
  domain::JobSpec spec = Spec(JobKind::kQuantize);
  spec.calibration = Upload("a calibration text");
  ASSERT_TRUE(Submit("r", spec).ok());
  AgeAll();
  EXPECT_EQ(Collect(), 0);
  EXPECT_TRUE(IsWhole(spec.model));
  EXPECT_TRUE(IsWhole(*spec.calibration));
}

TEST_F(RetentionTest, WhatOneTaskMadeForTheNextStays) {
  const JobId job = Submit("r", Spec(JobKind::kPipeline))->id;
  const BlobId made = Upload("quantized");
  Report("gpu1", Ask("gpu1").at(0).id, domain::Succeeded{made});
  ASSERT_EQ(Get(job).state, JobState::kRunning);
  AgeAll();
  EXPECT_EQ(Collect(), 0);
  EXPECT_TRUE(IsWhole(made));
}

TEST_F(RetentionTest, UnfinishedWorkStaysWhileATaskMayGoOnFromIt) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kQuantize)).ok());
  const AttemptId id = Ask("gpu1").at(0).id;
  const BlobId half = Upload("half of it");
  ASSERT_TRUE(Sync(From("gpu1", {WithCheckpoint(id, half)})).ok());
  AgeAll();
  EXPECT_EQ(Collect(), 0);
  EXPECT_TRUE(IsWhole(half));
  Report("gpu1", id, domain::Stopped{});
  EXPECT_EQ(Ask("gpu2").at(0).checkpoint->tree, half);
}

TEST_F(RetentionTest, AResultOutlivesItsJobAndGoesWhenItIsForgotten) {
  limits_.result_keep = hours(72);
  Restart();
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  const BlobId result = Upload("the result");
  Report("gpu1", Ask("gpu1").at(0).id, domain::Succeeded{result});
  domain::JobChange change;
  change.job = job;
  ASSERT_TRUE(Await(DeleteJob(*farm_, change)).ok());
  AgeAll();
  EXPECT_EQ(Collect(), 2);  // the model and its file
  EXPECT_TRUE(IsWhole(result));
  EXPECT_EQ(Submit("again", Spec(JobKind::kConvert))->state, JobState::kSucceeded);
  AgeAll();
  EXPECT_EQ(Collect(), 0);  // a job has it once more
}

TEST_F(RetentionTest, WhoLooksForATreeFindsItUntilItHasSaidWhatFor) {
  const BlobId tree = Upload("about to be submitted");
  AgeAll();
  ASSERT_TRUE(IsWhole(tree));  // as a submission does before it queues the job
  EXPECT_EQ(Collect(), 0);
  EXPECT_TRUE(IsWhole(tree));
}

TEST_F(RetentionTest, AnUploadUnderWayIsLeftAlone) {
  const std::string content(3000, 'x');
  const BlobId id{DigestOf(content), content.size()};
  const auto bytes = std::as_bytes(std::span(content));
  {
    auto writer = blobs_->StartUpload(id, 0);
    ASSERT_TRUE(writer.ok() && (*writer)->Append(bytes.first(1000)).ok());
    for (const auto& partial : std::filesystem::directory_iterator(folder_ / "blobs" / "partial")) {
      Age(partial.path(), hours(24 * 365));
    }
    EXPECT_EQ(Collect(), 0);
    ASSERT_TRUE(blobs_->DropStaleUploads(clock_.UnixMillis()).ok());
    ASSERT_TRUE((*writer)->Append(bytes.subspan(1000)).ok());
    ASSERT_TRUE((*writer)->Commit().ok());
  }
  EXPECT_EQ(Collect(), 0);  // it came just now
  EXPECT_EQ(*blobs_->ReadSmall(id, 1 << 20), content);
}

TEST_F(RetentionTest, WhileATreeCannotBeReadNothingGoes) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("r", spec).ok());
  const BlobId orphan = *blobs_->WriteSmall("nobody wants this");
  {
    std::ofstream damage(FileOf(spec.model), std::ios::in | std::ios::out | std::ios::binary);
    damage.put('?');
  }
  AgeAll();
  EXPECT_FALSE(Await(CollectBlobs(*farm_)).ok());
  EXPECT_TRUE(*blobs_->Has(orphan));
  EXPECT_FALSE(Await(CollectBlobs(*farm_)).ok()) << "it was set aside, and is in use still";
  EXPECT_TRUE(*blobs_->Has(orphan));
}

TEST_F(RetentionTest, TheFilesOfATreeThatRottedInItsPathsStay) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("r", spec).ok());
  const BlobId orphan = *blobs_->WriteSmall("nobody wants this");
  const auto text = blobs_->ReadSmall(spec.model, 1 << 20);
  const BlobId file = format::ParseTree(*text)->entries.at(0).blob;
  {
    std::ofstream damage(FileOf(spec.model), std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(
        static_cast<std::streamoff>(text->find(format::ParseTree(*text)->entries[0].path)));
    damage.put('z');
  }
  AgeAll();
  EXPECT_FALSE(Await(CollectBlobs(*farm_)).ok());
  EXPECT_EQ(Collect(), 1);
  EXPECT_FALSE(*blobs_->Has(orphan));
  EXPECT_TRUE(*blobs_->Has(file));
}

TEST_F(RetentionTest, AJobThatIsToBeKeptStaysWithAllItsBlobsHoweverOldItIs) {
  limits_.job_keep = hours(24);
  limits_.result_keep = hours(24);
  Restart();
  domain::JobSpec kept = Spec(JobKind::kConvert);
  kept.model = Upload("kept");
  kept.labels = {{"keep", "until the paper is out"}};
  domain::JobSpec other = Spec(JobKind::kConvert);
  other.model = Upload("not kept");
  const JobId kept_job = Submit("1", kept)->id;
  const JobId other_job = Submit("2", other)->id;
  const BlobId output = Upload("output of the kept");
  Report("w", Ask("w").at(0).id, domain::Succeeded{output});
  Report("w", Ask("w").at(0).id, domain::Succeeded{Upload("output of the other")});
  clock_.Advance(hours(24 * 365));
  AgeAll();
  ASSERT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(Get(kept_job).state, domain::JobState::kSucceeded);
  EXPECT_EQ(Await(GetJob(*farm_, other_job)).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(IsWhole(kept.model));
  EXPECT_TRUE(IsWhole(output));
  EXPECT_FALSE(*blobs_->Has(other.model));
  domain::JobChange change;
  change.job = kept_job;
  ASSERT_TRUE(Await(UpdateJob(*farm_, {.change = change, .labels = {{"keep", {}}}})).ok());
  ASSERT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  EXPECT_EQ(Await(GetJob(*farm_, kept_job)).status().code(), StatusCode::kNotFound);
}

TEST_F(RetentionTest, ManyOldRequestsGoAtOnce) {
  constexpr int kMany = 2500;
  const Status noted = Await(store_->Run([&](store::Queue& queue) -> Status {
    for (int i = 0; i < kMany; ++i) {
      TYLLM_TRY(queue.NoteRequest("old" + std::to_string(i), {.method = "UpdateJob"}, 1));
    }
    return OkStatus();
  }));
  ASSERT_TRUE(noted.ok()) << noted.ToString();
  ASSERT_TRUE(Await(RemoveWhatIsOld(*farm_)).ok());
  const auto last = Await(store_->Run(
      [&](store::Queue& queue) { return queue.FindRequest("old" + std::to_string(kMany - 1)); }));
  EXPECT_FALSE(last->has_value());
}

}  // namespace
}  // namespace tyllm::server::core
