// SPDX-License-Identifier: Apache-2.0
// What every blob store promises. A new implementation is one row in kStores.
#include <gtest/gtest.h>

#include <thread>

#include "common/base/clock.h"
#include "server/blobs/folder_blob_store.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::blobs {
namespace {

struct StoreKind {
  const char* name;
  Result<std::unique_ptr<BlobStore>> (*open)(const Path& folder, const Clock& clock);
};

constexpr StoreKind kStores[] = {
    {"folder",
     [](const Path& folder, const Clock& clock) {
       return OpenFolderBlobStore(LocalFileSystem(), folder, clock);
     }},
};

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

BlobId IdOf(std::string_view content) {
  return {DigestOf(content), content.size()};
}

std::string Content(std::size_t size) {
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    content[i] = static_cast<char>('a' + (i * i + i / 7) % 26);
  }
  return content;
}

class BlobStoreContract : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override { Restart(); }

  void Restart() {
    store_.reset();
    Result<std::unique_ptr<BlobStore>> store = GetParam().open(folder_ / "blobs", clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
  }

  Status Put(const std::string& content) { return store_->WriteSmall(content).status(); }

  std::unique_ptr<BlobWriter> Start(const BlobId& id, std::uint64_t offset) {
    auto writer = store_->StartUpload(id, offset);
    EXPECT_TRUE(writer.ok()) << writer.status().ToString();
    return writer.ok() ? *std::move(writer) : nullptr;
  }

  std::string ReadRange(const BlobId& id, std::uint64_t offset, std::uint64_t limit) {
    auto reader = store_->OpenRead(id, offset, limit);
    EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    std::string all;
    std::byte piece[7];
    while (reader.ok()) {
      const Result<std::size_t> got = (*reader)->Read(piece);
      EXPECT_TRUE(got.ok()) << got.status().ToString();
      if (!got.ok() || *got == 0) {
        break;
      }
      all.append(reinterpret_cast<const char*>(piece), *got);
    }
    return all;
  }

  /// How many of what is stored were not used for so long.
  std::int64_t RemoveOlderThan(Milliseconds age) {
    const auto removed = store_->RemoveUnused({}, clock_.UnixMillis() - age.count());
    EXPECT_TRUE(removed.ok()) << removed.status().ToString();
    return removed.ok() ? removed->blobs : -1;
  }

  ManualClock clock_;  // years behind the machine's
  testing::TemporaryDirectory folder_;
  std::unique_ptr<BlobStore> store_;
};

TEST_P(BlobStoreContract, WhatWasCommittedIsReadBackAlsoAfterARestart) {
  const std::string content = Content(5000);
  const BlobId id = IdOf(content);
  EXPECT_FALSE(*store_->Has(id));
  ASSERT_TRUE(Put(content).ok());
  EXPECT_TRUE(*store_->Has(id));
  Restart();
  EXPECT_TRUE(*store_->Has(id));
  EXPECT_EQ(*store_->ReadSmall(id, 5000), content);
  EXPECT_EQ(store_->TotalBytes(), 5000U);
}

TEST_P(BlobStoreContract, AnEmptyBlobIsABlob) {
  EXPECT_FALSE(*store_->Has(IdOf("")));
  ASSERT_TRUE(Put("").ok());
  EXPECT_TRUE(*store_->Has(IdOf("")));
  EXPECT_EQ(*store_->ReadSmall(IdOf(""), 0), "");
}

TEST_P(BlobStoreContract, TheSizeIsPartOfTheName) {
  ASSERT_TRUE(Put("hello").ok());
  BlobId id = IdOf("hello");
  id.size = 4;
  EXPECT_FALSE(*store_->Has(id));
  EXPECT_EQ(store_->OpenRead(id, 0, 0).status().code(), StatusCode::kNotFound);
}

TEST_P(BlobStoreContract, FindMissingNamesEachMissingBlobOnceInOrder) {
  ASSERT_TRUE(Put("there").ok());
  const std::vector<BlobId> asked = {IdOf("b"), IdOf("there"), IdOf("a"), IdOf("b")};
  EXPECT_EQ(*store_->FindMissing(asked), (std::vector<BlobId>{IdOf("b"), IdOf("a")}));
}

TEST_P(BlobStoreContract, ABlobIsNotThereBeforeCommit) {
  const std::string content = Content(100);
  auto writer = Start(IdOf(content), 0);
  ASSERT_TRUE(writer->Append(Bytes(content)).ok());
  EXPECT_FALSE(*store_->Has(IdOf(content)));
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_TRUE(*store_->Has(IdOf(content)));
}

TEST_P(BlobStoreContract, AnUploadGoesOnAfterARestart) {
  const std::string content = Content(3000);
  const BlobId id = IdOf(content);
  auto writer = Start(id, 0);
  ASSERT_TRUE(writer->Append(Bytes(content).first(1234)).ok());
  writer.reset();
  Restart();
  EXPECT_EQ(*store_->UploadOffset(id), 1234U);
  writer = Start(id, 1234);
  EXPECT_EQ(writer->offset(), 1234U);
  ASSERT_TRUE(writer->Append(Bytes(content).subspan(1234)).ok());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(*store_->ReadSmall(id, 3000), content);
  EXPECT_EQ(*store_->UploadOffset(id), 3000U);
}

TEST_P(BlobStoreContract, AnUploadGoesOnOnlyWhereItIs) {
  const std::string content = Content(3000);
  const BlobId id = IdOf(content);
  ASSERT_TRUE(Start(id, 0)->Append(Bytes(content).first(1000)).ok());
  EXPECT_EQ(store_->StartUpload(id, 999).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(store_->StartUpload(id, 1001).status().code(), StatusCode::kOutOfRange);
  EXPECT_TRUE(store_->StartUpload(id, 0).ok());
}

TEST_P(BlobStoreContract, AWrongDigestIsRefusedAndForgotten) {
  const BlobId id = IdOf("right");
  auto writer = Start(id, 0);
  ASSERT_TRUE(writer->Append(Bytes("wrong")).ok());
  EXPECT_EQ(writer->Commit().code(), StatusCode::kDataLoss);
  writer.reset();
  EXPECT_FALSE(*store_->Has(id));
  EXPECT_EQ(*store_->UploadOffset(id), 0U);
  EXPECT_EQ(store_->TotalBytes(), 0U);
  EXPECT_TRUE(Put("right").ok());
}

TEST_P(BlobStoreContract, ACommitOfTooFewBytesLeavesTheUploadToGoOn) {
  const std::string content = Content(10);
  auto writer = Start(IdOf(content), 0);
  ASSERT_TRUE(writer->Append(Bytes(content).first(9)).ok());
  EXPECT_EQ(writer->Commit().code(), StatusCode::kFailedPrecondition);
  writer.reset();
  EXPECT_EQ(*store_->UploadOffset(IdOf(content)), 9U);
}

TEST_P(BlobStoreContract, MoreBytesThanTheNameSaysAreRefused) {
  auto writer = Start(IdOf("four"), 0);
  EXPECT_EQ(writer->Append(Bytes("fours")).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(writer->Append(Bytes("four")).code(), StatusCode::kInvalidArgument);
}

TEST_P(BlobStoreContract, AnUploadOfWhatIsThereSaysSo) {
  ASSERT_TRUE(Put("there").ok());
  EXPECT_EQ(store_->StartUpload(IdOf("there"), 0).status().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(Put("there").ok());
  EXPECT_EQ(store_->TotalBytes(), 5U);
}

TEST_P(BlobStoreContract, RangesAreReadAsAsked) {
  const std::string content = Content(100);
  ASSERT_TRUE(Put(content).ok());
  const BlobId id = IdOf(content);
  EXPECT_EQ(ReadRange(id, 0, 0), content);
  EXPECT_EQ(ReadRange(id, 10, 5), content.substr(10, 5));
  EXPECT_EQ(ReadRange(id, 90, 500), content.substr(90));
  EXPECT_EQ(ReadRange(id, 100, 0), "");
  EXPECT_EQ(store_->OpenRead(id, 101, 0).status().code(), StatusCode::kOutOfRange);
}

TEST_P(BlobStoreContract, ReadSmallRefusesALargeBlob) {
  ASSERT_TRUE(Put(Content(11)).ok());
  EXPECT_EQ(store_->ReadSmall(IdOf(Content(11)), 10).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_P(BlobStoreContract, UploadsOfOneBlobAtTheSameTimeDoNotDisturbEachOther) {
  const std::string content = Content(2000);
  const BlobId id = IdOf(content);
  auto first = Start(id, 0);
  ASSERT_TRUE(first->Append(Bytes(content).first(1500)).ok());
  EXPECT_EQ(*store_->UploadOffset(id), 0U) << "a live upload is not to be continued by another";
  auto second = Start(id, 0);
  ASSERT_TRUE(second->Append(Bytes(content)).ok());
  ASSERT_TRUE(second->Commit().ok());
  ASSERT_TRUE(first->Append(Bytes(content).subspan(1500)).ok());
  EXPECT_TRUE(first->Commit().ok());
  EXPECT_EQ(*store_->ReadSmall(id, 2000), content);
  EXPECT_EQ(store_->TotalBytes(), 2000U);
}

TEST_P(BlobStoreContract, ManyThreadsUploadTheSameBlobs) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this] {
      for (std::size_t i = 1; i <= 20; ++i) {
        const Status status = Put(Content(100 * i));
        EXPECT_TRUE(status.ok()) << status.ToString();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(store_->TotalBytes(), 100U * 210U);
}

TEST_P(BlobStoreContract, StaleUploadsAreDroppedButNotLiveOnes) {
  const std::string content = Content(50);
  auto live = Start(IdOf(content), 0);
  ASSERT_TRUE(live->Append(Bytes(content).first(20)).ok());
  ASSERT_TRUE(Start(IdOf("other"), 0)->Append(Bytes("oth")).ok());
  ASSERT_TRUE(store_->DropStaleUploads(0).ok());
  EXPECT_EQ(*store_->UploadOffset(IdOf("other")), 3U) << "nothing is older than 1970";
  ASSERT_TRUE(store_->DropStaleUploads(clock_.UnixMillis()).ok());
  EXPECT_EQ(*store_->UploadOffset(IdOf("other")), 3U);
  clock_.Advance(Milliseconds(1));
  ASSERT_TRUE(store_->DropStaleUploads(clock_.UnixMillis()).ok());
  EXPECT_EQ(*store_->UploadOffset(IdOf("other")), 0U);
  ASSERT_TRUE(live->Append(Bytes(content).subspan(20)).ok());
  EXPECT_TRUE(live->Commit().ok());
}

TEST_P(BlobStoreContract, AgesAreCountedByTheClockThatItWasGiven) {
  ASSERT_TRUE(Put("one").ok());
  clock_.Advance(std::chrono::hours(24 * 3650));  // past the machine's
  ASSERT_TRUE(Put("other").ok());
  store_->NoteUse(IdOf("one"));
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(RemoveOlderThan(std::chrono::hours(1)), 0);
  store_->NoteUse(IdOf("other"));
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(RemoveOlderThan(std::chrono::hours(1)), 1);
  EXPECT_FALSE(*store_->Has(IdOf("one")));
}

TEST_P(BlobStoreContract, AfterTheClockWasSetBackEverythingIsAsIfUsedJustNow) {
  ASSERT_TRUE(Put("one").ok());
  ASSERT_TRUE(Start(IdOf("two"), 0)->Append(Bytes("t")).ok());
  clock_.Advance(-std::chrono::hours(24 * 365));
  Restart();
  const auto drop_uploads = [&](Milliseconds age) {
    EXPECT_TRUE(store_->DropStaleUploads(clock_.UnixMillis() - age.count()).ok());
    return *store_->UploadOffset(IdOf("two")) == 0;
  };
  EXPECT_EQ(RemoveOlderThan(std::chrono::hours(1)), 0);
  EXPECT_FALSE(drop_uploads(std::chrono::hours(1)));
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(RemoveOlderThan(std::chrono::hours(1)), 0);
  EXPECT_FALSE(drop_uploads(std::chrono::hours(1)));
  clock_.Advance(Milliseconds(1));
  EXPECT_EQ(RemoveOlderThan(std::chrono::hours(1)), 1);
  EXPECT_TRUE(drop_uploads(std::chrono::hours(1)));
}

TEST_P(BlobStoreContract, BlobsThatAreStoredTogetherAreAnsweredEachByItself) {
  ASSERT_TRUE(Put("there").ok());
  const std::vector<BlobStore::Content> blobs = {
      {IdOf("a"), "a"},        {IdOf("right"), "wrong"}, {IdOf("there"), "there"}, {IdOf(""), ""},
      {IdOf("four"), "fours"}, {IdOf("a"), "a"},         {IdOf("a"), "b"},         {IdOf("z"), "z"},
  };
  const std::vector<Status> ended = store_->WriteTogether(blobs);
  std::vector<StatusCode> codes;
  for (const Status& status : ended) {
    codes.push_back(status.code());
  }
  EXPECT_EQ(codes, (std::vector{StatusCode::kOk, StatusCode::kDataLoss, StatusCode::kOk,
                                StatusCode::kOk, StatusCode::kInvalidArgument, StatusCode::kOk,
                                StatusCode::kDataLoss, StatusCode::kOk}));
  Restart();
  for (const std::string content : {"a", "there", "", "z"}) {
    EXPECT_EQ(*store_->ReadSmall(IdOf(content), 100), content);
  }
  EXPECT_FALSE(*store_->Has(IdOf("right")));
  EXPECT_FALSE(*store_->Has(IdOf("four")));
  EXPECT_EQ(store_->TotalBytes(), 7U);
}

TEST_P(BlobStoreContract, WhatIsStoredTogetherIsNew) {
  clock_.Advance(std::chrono::hours(1));
  const BlobStore::Content blob{IdOf("one"), "one"};
  ASSERT_TRUE(store_->WriteTogether({&blob, 1}).front().ok());
  clock_.Advance(std::chrono::minutes(10));
  EXPECT_EQ(RemoveOlderThan(std::chrono::minutes(10)), 0);
  ASSERT_TRUE(store_->WriteTogether({&blob, 1}).front().ok());  // it is wanted again
  clock_.Advance(std::chrono::minutes(10));
  EXPECT_EQ(RemoveOlderThan(std::chrono::minutes(10)), 0);
}

// Two that wait for each other would never end.
TEST_P(BlobStoreContract, ManyThreadsStoreTheSameBlobsTogetherInOtherOrders) {
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([this, t] {
      std::vector<std::string> texts;
      for (std::size_t i = 0; i < 40; ++i) {
        texts.push_back(std::to_string((t % 2 == 0 ? i : 39 - i) + 100));
      }
      std::vector<BlobStore::Content> blobs;
      for (const std::string& text : texts) {
        blobs.push_back({IdOf(text), text});
      }
      for (const Status& status : store_->WriteTogether(blobs)) {
        EXPECT_TRUE(status.ok()) << status.ToString();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(store_->TotalBytes(), 40U * 3U);
}

INSTANTIATE_TEST_SUITE_P(Stores, BlobStoreContract, ::testing::ValuesIn(kStores),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace tyllm::server::blobs
