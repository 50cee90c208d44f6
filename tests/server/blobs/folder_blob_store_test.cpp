// SPDX-License-Identifier: Apache-2.0
// The folder's own promises: a disk that fails at any write, and bytes that rot.
#include "server/blobs/folder_blob_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <set>

#include "common/base/clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/power_cut_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::blobs {
namespace {

const std::string kContent = "the content of a blob, in two pieces";
constexpr std::size_t kSplit = 10;

BlobId Id() {
  return {DigestOf(kContent), kContent.size()};
}

Path CompletePath(const Path& root) {
  const std::string hex = Id().sha256.Hex();
  return root / "complete" / hex.substr(0, 2) / hex;
}

Status UploadFrom(BlobStore& store, std::uint64_t offset) {
  TYLLM_ASSIGN(auto writer, store.StartUpload(Id(), offset));
  const auto bytes = std::as_bytes(std::span(kContent)).subspan(offset);
  const std::size_t first = std::min(kSplit, bytes.size());
  TYLLM_TRY(writer->Append(bytes.first(first)));
  TYLLM_TRY(writer->Append(bytes.subspan(first)));
  return writer->Commit();
}

Status OpenAndUpload(FileSystem& files, const Path& root) {
  TYLLM_ASSIGN(const auto store, OpenFolderBlobStore(files, root, SystemClock()));
  return UploadFrom(*store, 0);
}

TEST(FolderBlobStore, AfterAFailureAtAnyWriteTheUploadCanBeFinished) {
  int healthy = 0;
  for (bool done = false; !done; ++healthy) {
    const testing::TemporaryDirectory root;
    testing::FaultyFileSystem faulty(healthy);
    const Status status = OpenAndUpload(faulty, root.path());
    done = status.ok();
    ASSERT_EQ(faulty.failed(), !done) << "an error must be reported, at change " << healthy;
    if (!done) {
      EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
    }
    auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
    ASSERT_TRUE(store.ok());
    EXPECT_EQ(*(*store)->Has(Id()), done) << "at change " << healthy;
    if (!done) {
      const Status again = UploadFrom(**store, *(*store)->UploadOffset(Id()));
      EXPECT_TRUE(again.ok()) << again.ToString() << " at change " << healthy;
    }
    EXPECT_EQ(*(*store)->ReadSmall(Id(), 100), kContent);
    EXPECT_TRUE(std::filesystem::is_empty(root / "partial")) << "at change " << healthy;
  }
  EXPECT_GT(healthy, 8) << "the upload must have been interrupted in many places";
}

constexpr int kTogether = 5;

std::string ContentOf(int blob) {
  return std::string(1000, static_cast<char>('a' + blob));
}

BlobId IdOf(const std::string& content) {
  return {DigestOf(content), content.size()};
}

std::vector<Status> StoreFive(BlobStore& store) {
  std::vector<std::string> contents;
  std::vector<BlobStore::Content> blobs;
  for (int i = 0; i < kTogether; ++i) {
    contents.push_back(ContentOf(i));
  }
  for (const std::string& content : contents) {
    blobs.push_back({IdOf(content), content});
  }
  return store.WriteTogether(blobs);
}

// A disk that is full for one change or from then on: what is answered without an error is there,
// the others are not, and can be stored after.
class StoredTogether : public ::testing::TestWithParam<testing::FaultyFileSystem::Fault> {};

TEST_P(StoredTogether, AfterAFailureAtAnyWriteEachIsAsItWasAnswered) {
  int healthy = 0;
  int most_failed = 0;
  int fewest_failed = kTogether;
  for (bool done = false; !done; ++healthy) {
    SCOPED_TRACE("at change " + std::to_string(healthy));
    const testing::TemporaryDirectory root;
    ASSERT_TRUE(OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock()).ok());
    testing::FaultyFileSystem faulty(healthy, GetParam());
    std::set<int> failed;
    {
      const auto store = OpenFolderBlobStore(faulty, root.path(), SystemClock());
      if (!store.ok()) {
        continue;
      }
      const std::vector<Status> ended = StoreFive(**store);
      for (int i = 0; i < kTogether; ++i) {
        if (!ended[static_cast<std::size_t>(i)].ok()) {
          failed.insert(i);
        }
        EXPECT_EQ(*(*store)->Has(IdOf(ContentOf(i))), !failed.contains(i));
      }
    }
    done = !faulty.failed();
    EXPECT_EQ(failed.empty(), done);
    if (!done) {
      most_failed = std::max(most_failed, static_cast<int>(failed.size()));
      fewest_failed = std::min(fewest_failed, static_cast<int>(failed.size()));
    }
    auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
    ASSERT_TRUE(store.ok());
    EXPECT_TRUE(std::filesystem::is_empty(root / "partial"));
    EXPECT_EQ((*store)->TotalBytes(), 1000 * (kTogether - failed.size()));
    for (const Status& status : StoreFive(**store)) {
      EXPECT_TRUE(status.ok()) << status.ToString();
    }
    for (int i = 0; i < kTogether; ++i) {
      EXPECT_EQ(*(*store)->ReadSmall(IdOf(ContentOf(i)), 1000), ContentOf(i));
    }
  }
  EXPECT_GT(healthy, 20) << "they must have been interrupted in many places";
  EXPECT_EQ(fewest_failed, 1);
  EXPECT_EQ(most_failed, kTogether) << "one sync makes the names of all their folders durable";
}

INSTANTIATE_TEST_SUITE_P(Faults, StoredTogether,
                         ::testing::Values(testing::FaultyFileSystem::Fault::kStays,
                                           testing::FaultyFileSystem::Fault::kOnce),
                         [](const auto& fault) {
                           return fault.param == testing::FaultyFileSystem::Fault::kOnce
                                      ? std::string("Once")
                                      : std::string("Stays");
                         });

TEST(FolderBlobStore, AfterAPowerCutAtAnyChangeWhatWasStoredTogetherIsThere) {
  int healthy = 0;
  for (bool cut = true; cut; ++healthy) {
    SCOPED_TRACE("power cut at change " + std::to_string(healthy));
    const testing::TemporaryDirectory root;
    testing::PowerCutFileSystem disk(healthy);
    std::vector<Status> ended(kTogether, Unavailable("not begun"));
    if (const auto store = OpenFolderBlobStore(disk, root.path(), SystemClock()); store.ok()) {
      ended = StoreFive(**store);
    }
    cut = disk.failed();
    disk.LosePower();
    auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < kTogether; ++i) {
      const BlobId id = IdOf(ContentOf(i));
      const bool promised = ended[static_cast<std::size_t>(i)].ok();
      EXPECT_TRUE(!promised || *(*store)->Has(id));
      if (*(*store)->Has(id)) {
        EXPECT_EQ(*(*store)->ReadSmall(id, 1000), ContentOf(i));
      }
    }
  }
  EXPECT_GT(healthy, 20);
}

TEST(FolderBlobStore, ABlobThatRotsIsNoticedSetAsideAndCanBeUploadedAgain) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  {
    std::fstream file(CompletePath(root.path()), std::ios::in | std::ios::out);
    file.put('T');
  }
  const Status status = (*store)->ReadSmall(Id(), 100).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_FALSE(*(*store)->Has(Id()));
  EXPECT_EQ((*store)->TotalBytes(), 0U);
  EXPECT_TRUE(std::filesystem::exists(root / ("corrupt/" + Id().sha256.Hex())));
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  EXPECT_EQ(*(*store)->ReadSmall(Id(), 100), kContent);
}

TEST(FolderBlobStore, ATruncatedBlobIsNotThere) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  std::filesystem::resize_file(CompletePath(root.path()), 5);
  EXPECT_FALSE(*(*store)->Has(Id()));
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  EXPECT_EQ(*(*store)->ReadSmall(Id(), 100), kContent);
}

TEST(FolderBlobStore, APartialFileThatRottedIsCaughtByTheDigest) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  {
    auto writer = (*store)->StartUpload(Id(), 0);
    ASSERT_TRUE((*writer)->Append(std::as_bytes(std::span(kContent)).first(kSplit)).ok());
  }
  for (const auto& entry : std::filesystem::directory_iterator(root / "partial")) {
    std::fstream(entry.path(), std::ios::in | std::ios::out).put('X');
  }
  EXPECT_EQ(UploadFrom(**store, kSplit).code(), StatusCode::kDataLoss);
  EXPECT_EQ(*(*store)->UploadOffset(Id()), 0U);
  EXPECT_TRUE(UploadFrom(**store, 0).ok());
}

TEST(FolderBlobStore, MoreThanSixteenUploadsOfOneBlobAreRefusedForNow) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  std::vector<std::unique_ptr<BlobWriter>> writers;
  for (int i = 0; i < 16; ++i) {
    writers.push_back(*(*store)->StartUpload(Id(), 0));
  }
  EXPECT_EQ((*store)->StartUpload(Id(), 0).status().code(), StatusCode::kUnavailable);
  writers.pop_back();
  EXPECT_TRUE((*store)->StartUpload(Id(), 0).ok());
}

// One fan that can be read after it must not hide it.
TEST(FolderBlobStore, AFolderThatCannotBeReadIsAnError) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE((*store)->WriteSmall(std::to_string(i)).ok());
  }
  std::ofstream(root / "complete/zz") << "no folder";
  for (int i = 40; i < 80; ++i) {
    ASSERT_TRUE((*store)->WriteSmall(std::to_string(i)).ok());
  }
  const Status removed = (*store)->RemoveUnused({}, 0).status();
  EXPECT_NE(removed.message().find("complete/zz"), std::string::npos) << removed.ToString();
  EXPECT_FALSE(OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock()).ok());
}

TEST(FolderBlobStore, AReaderOfABlobThatRottedLeavesTheOneUploadedSinceInPlace) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  std::fstream(CompletePath(root.path()), std::ios::in | std::ios::out).put('T');
  auto slow = (*store)->OpenRead(Id(), 0, 0);
  ASSERT_TRUE(slow.ok());
  EXPECT_EQ((*store)->ReadSmall(Id(), 100).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  std::vector<std::byte> buffer(100);
  ASSERT_TRUE((*slow)->Read(buffer).ok());
  EXPECT_EQ((*slow)->Read(buffer).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(*(*store)->ReadSmall(Id(), 100), kContent);
  EXPECT_EQ((*store)->TotalBytes(), kContent.size());
}

TEST(FolderBlobStore, WhatWasSetAsideCanBeLookedAt) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  ASSERT_TRUE((*store)->WriteSmall(kContent).ok());
  EXPECT_EQ((*store)->ReadSetAside(Id(), 100).status().code(), StatusCode::kNotFound);
  std::fstream(CompletePath(root.path()), std::ios::in | std::ios::out).put('T');
  EXPECT_FALSE((*store)->ReadSmall(Id(), 100).ok());
  EXPECT_EQ(*(*store)->ReadSetAside(Id(), 100), "T" + kContent.substr(1));
}

TEST(FolderBlobStore, AnUploadThatWasCompleteLongAgoIsNewWhenItIsCommitted) {
  const testing::TemporaryDirectory root;
  auto store = OpenFolderBlobStore(LocalFileSystem(), root.path(), SystemClock());
  {
    auto writer = (*store)->StartUpload(Id(), 0);
    ASSERT_TRUE((*writer)->Append(std::as_bytes(std::span(kContent))).ok());
  }
  for (const auto& entry : std::filesystem::directory_iterator(root / "partial")) {
    std::filesystem::last_write_time(
        entry.path(), std::filesystem::file_time_type::clock::now() - std::chrono::hours(87600));
  }
  const std::int64_t before = SystemClock().UnixMillis() - 3'600'000;
  ASSERT_TRUE((*(*store)->StartUpload(Id(), kContent.size()))->Commit().ok());
  EXPECT_EQ((*store)->RemoveUnused({}, before)->blobs, 0);
}

}  // namespace
}  // namespace tyllm::server::blobs
