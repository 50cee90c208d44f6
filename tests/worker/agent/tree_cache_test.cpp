// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/tree_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/base/blob_path.h"
#include "tests/support/blob_client.h"
#include "tests/support/can_clone.h"
#include "tests/support/test_server.h"

namespace tyllm::agent {
namespace {

namespace fs = std::filesystem;

/// The local disk, on which the test may have a removal break off after one file, and say how much
/// is free.
class Disk final : public FileSystem {
 public:
  bool breaks = false;
  std::optional<std::uint64_t> free;

  Result<std::unique_ptr<OutputFile>> Create(const Path& path) override {
    return LocalFileSystem().Create(path);
  }

  Result<std::unique_ptr<OutputFile>> CreateNew(const Path& path) override {
    return LocalFileSystem().CreateNew(path);
  }

  Result<std::unique_ptr<OutputFile>> OpenForUpdate(const Path& path) override {
    return LocalFileSystem().OpenForUpdate(path);
  }

  Result<std::string> Read(const Path& path) override { return LocalFileSystem().Read(path); }

  Status Rename(const Path& from, const Path& to) override {
    return LocalFileSystem().Rename(from, to);
  }

  Status RemoveAll(const Path& path) override {
    if (!breaks || !fs::is_directory(path)) {
      return LocalFileSystem().RemoveAll(path);
    }
    fs::remove(fs::directory_iterator(path)->path());
    return Unavailable("removing " + path.string() + " broke off");
  }

  Status CreateDirectories(const Path& path) override {
    return LocalFileSystem().CreateDirectories(path);
  }

  Status SyncDirectory(const Path& directory) override {
    return LocalFileSystem().SyncDirectory(directory);
  }

  Result<std::uint64_t> FreeBytes(const Path& path) override {
    return free ? Result<std::uint64_t>(*free) : LocalFileSystem().FreeBytes(path);
  }
};

/// Trees on a real server, a cache on a clock that the test moves.
class TreeCacheTest : public ::testing::Test {
 protected:
  void Open(std::int64_t limit) {
    cache_ = *TreeCache::Open(folder_ / "trees", limit, clock_, disk_);
  }

  Path PathOf(const format::TreeId& id, const std::string& kind = "") const {
    return folder_ / "trees" / (id.sha256.Hex() + "-" + std::to_string(id.size) + kind);
  }

  /// A tree of three files.
  format::TreeId PutThree() {
    format::Tree tree;
    for (const char name : {'a', 'b', 'c'}) {
      const std::string content(100, name);
      tree.entries.push_back({std::string(1, name), blobs_.Put(content), false});
    }
    return blobs_.Put(format::ToText(tree));
  }

  static std::size_t FilesIn(const Path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
  }

  /// A tree of one file of so many bytes.
  format::TreeId Put(char content, std::size_t size) {
    return blobs_.PutTree("file", std::string(size, content));
  }

  Result<TreeCache::Lease> Fetch(const format::TreeId& id) {
    clock_.Advance(Milliseconds(1000));
    return cache_->Fetch(id, transfer_, [](auto, auto) {}, stop_.get_token());
  }

  testing::TestServer server_;
  testing::TemporaryDirectory folder_;
  testing::BlobClient blobs_{server_.channel()};
  ManualClock clock_;
  Disk disk_;
  wire::BlobTransfer transfer_{server_.channel(), SystemClock(), Milliseconds(2000)};
  std::stop_source stop_;
  std::unique_ptr<TreeCache> cache_;
};

TEST_F(TreeCacheTest, TheLongestUnusedGoFirstAndThoseInUseNever) {
  Open(250);
  const auto a = Put('a', 100);
  const auto b = Put('b', 100);
  const auto c = Put('c', 100);
  const auto lease = Fetch(a);
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  ASSERT_TRUE(Fetch(b).ok());
  ASSERT_TRUE(Fetch(c).ok());
  EXPECT_EQ(cache_->Recent(9), (std::vector{c, a})) << "b was free and older than c";
  EXPECT_TRUE(fs::exists(lease->path() / "file"));
  EXPECT_EQ(cache_->Recent(1), std::vector{c});
}

TEST_F(TreeCacheTest, OtherThingsCountTowardsTheLimit) {
  Open(250);
  ASSERT_TRUE(Fetch(Put('a', 100)).ok());
  const auto b = Put('b', 100);
  ASSERT_TRUE(Fetch(b).ok());
  cache_->MakeWayFor(100);
  EXPECT_EQ(cache_->Recent(9), std::vector{b});
}

TEST_F(TreeCacheTest, AnEarlierProcesssTreesAreTakenOverUpToTheLimit) {
  Open(1000);
  const auto a = Put('a', 100);
  const auto b = Put('b', 100);
  ASSERT_TRUE(Fetch(a).ok());
  ASSERT_TRUE(Fetch(b).ok());
  Open(1000);
  EXPECT_EQ(cache_->Recent(9).size(), 2U);
  EXPECT_TRUE(server_.server().Stop().ok());
  EXPECT_TRUE(Fetch(a).ok()) << "nothing is fetched";
  Open(150);
  EXPECT_EQ(cache_->Recent(9).size(), 1U);
}

TEST_F(TreeCacheTest, ATreeWhoseRemovalBrokeOffIsNotTakenForWhole) {
  Open(1000);
  const auto id = PutThree();
  ASSERT_TRUE(Fetch(id).ok());
  disk_.breaks = true;
  Open(10);  // which is too little for it
  EXPECT_TRUE(cache_->Recent(9).empty());
  disk_.breaks = false;
  Open(1000);
  EXPECT_TRUE(cache_->Recent(9).empty());
  EXPECT_EQ(FilesIn(folder_ / "trees"), 0U) << "what was left is removed";
  const auto lease = Fetch(id);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(FilesIn(lease->path()), 3U);
}

TEST_F(TreeCacheTest, AnEarlierProcesssTreeThatLacksAFileIsFetchedAgain) {
  Open(1000);
  const auto id = PutThree();
  for (const bool cut : {false, true}) {
    ASSERT_TRUE(Fetch(id).ok());
    fs::remove(PathOf(id) / "b");
    if (cut) {
      ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), PathOf(id) / "b", "bb").ok());
    }
    Open(1000);
    EXPECT_TRUE(cache_->Recent(9).empty()) << "cut: " << cut;
    const auto lease = Fetch(id);
    ASSERT_TRUE(lease.ok()) << lease.status().ToString();
    EXPECT_EQ(*LocalFileSystem().Read(lease->path() / "b"), std::string(100, 'b'));
  }
}

TEST_F(TreeCacheTest, ATreeWithoutItsTextIsFetchedAgain) {
  Open(1000);
  const auto id = PutThree();
  ASSERT_TRUE(Fetch(id).ok());
  fs::remove(PathOf(id, ".list"));
  Open(1000);
  EXPECT_TRUE(cache_->Recent(9).empty());
  EXPECT_TRUE(Fetch(id).ok());
  EXPECT_EQ(cache_->Recent(9), std::vector{id});
}

TEST_F(TreeCacheTest, AFolderThatLacksAFileIsNotTakenOver) {
  Open(1000);
  fs::create_directories(folder_ / "output");
  cache_->Adopt({{{"file", testing::BlobOf("content"), false}}}, folder_ / "output");
  EXPECT_TRUE(cache_->Recent(9).empty());
}

TEST_F(TreeCacheTest, AnUnfinishedDownloadCountsAndGoesFirst) {
  Open(1000);
  const auto a = Put('a', 100);
  const Path unfinished = PathOf(a, ".incoming");
  fs::create_directories(unfinished);
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), unfinished / "part", std::string(90, 'a')).ok());
  Open(150);
  ASSERT_TRUE(Fetch(Put('b', 100)).ok());
  EXPECT_FALSE(fs::exists(unfinished));
  ASSERT_TRUE(Fetch(a).ok());
  EXPECT_EQ(cache_->Recent(9), std::vector{a});
}

TEST_F(TreeCacheTest, AFailedDownloadIsNoTree) {
  Open(1000);
  const format::TreeId nowhere{DigestOf(std::string_view("nowhere")), 7};
  EXPECT_EQ(Fetch(nowhere).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(cache_->Recent(9).empty());
  EXPECT_EQ(Fetch(nowhere).status().code(), StatusCode::kNotFound);
}

TEST_F(TreeCacheTest, ATreeThatTheDiskHasNoRoomForIsRefusedBeforeAnyByteIsFetched) {
  Open(1000);
  format::Tree tree;
  tree.entries.push_back({"huge", {DigestOf(std::string_view("huge")), 1ULL << 60}, false});
  const auto id = blobs_.Put(format::ToText(tree));
  const Status status = Fetch(id).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_NE(status.message().find("make room"), std::string::npos);
}

TEST_F(TreeCacheTest, RoomThatADownloadUnderWayNeedsIsNotGivenToAnother) {
  Open(1 << 20);
  const auto a = Put('a', 300'000);  // more than crosses with others at once
  const auto b = Put('b', 300'000);
  disk_.free = 450'000;
  wire::BlobTransfer other(server_.channel(), SystemClock(), Milliseconds(2000));
  std::vector<Status> meanwhile;
  const auto fetch_b = [&](std::uint64_t done, std::uint64_t) {
    if (done == 0 || !meanwhile.empty()) {
      return;
    }
    fs::remove(PathOf(a, ".incoming") / "file.part");  // as if no byte of it had come yet
    meanwhile.push_back(cache_->Fetch(b, other, [](auto, auto) {}, stop_.get_token()).status());
  };
  const Status first = cache_->Fetch(a, transfer_, fetch_b, stop_.get_token()).status();
  ASSERT_EQ(meanwhile.size(), 1U);
  EXPECT_EQ(meanwhile[0].code(), StatusCode::kResourceExhausted) << meanwhile[0].ToString();
  EXPECT_NE(meanwhile[0].message().find("300000 of them for other downloads"), std::string::npos)
      << meanwhile[0].message();
  EXPECT_TRUE(Fetch(b).ok()) << "nothing is reserved any more";
}

TEST_F(TreeCacheTest, AFolderThatHoldsTheTreeIsTakenOver) {
  Open(1000);
  const auto a = Put('a', 10);
  fs::create_directories(folder_ / "output");
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), folder_ / "output" / "file", std::string(10, 'a'))
          .ok());
  cache_->Adopt({{{"file", testing::BlobOf(std::string(10, 'a')), false}}}, folder_ / "output");
  EXPECT_TRUE(server_.server().Stop().ok());
  const auto lease = Fetch(a);
  ASSERT_TRUE(lease.ok()) << "nothing is fetched";
  EXPECT_EQ(*LocalFileSystem().Read(lease->path() / "file"), std::string(10, 'a'));
}

/// On one file system with the server's blobs.
class SharedTreeCacheTest : public TreeCacheTest {
 protected:
  void SetUp() override {
    if (testing::CanClone(folder_.path())) {
      GTEST_SKIP() << "files are cloned here, and nobody can tell which share blocks";
    }
  }

  void OpenShared(std::int64_t limit) {
    cache_ = *TreeCache::Open(folder_ / "trees", limit, clock_, disk_,
                              LocalBlobs(server_.data() / "blobs"));
  }

  Path FileOf(const std::string& content) const {
    return CompleteBlobPath(server_.data() / "blobs", DigestOf(content));
  }

  static bool IsOneFile(const Path& a, const Path& b) { return fs::equivalent(a, b); }

  static bool IsWritable(const Path& file) {
    constexpr auto kWrite =
        fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;
    return (fs::status(file).permissions() & kWrite) != fs::perms::none;
  }

  format::TreeId PutProgram(const std::string& content) {
    const format::Tree tree{{{"program", blobs_.Put(content), true}}};
    return blobs_.Put(format::ToText(tree));
  }
};

TEST_F(SharedTreeCacheTest, ATreesFilesAreTheServers) {
  OpenShared(1 << 20);
  const std::string content(300'000, 'a');
  const auto lease = Fetch(Put('a', content.size()));
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  EXPECT_TRUE(IsOneFile(lease->path() / "file", FileOf(content)));
  EXPECT_FALSE(IsWritable(lease->path() / "file"));
  std::string read;
  ASSERT_TRUE(blobs_.Download(testing::BlobOf(content), 0, 0, read).ok());
  EXPECT_EQ(read, content);
}

TEST_F(SharedTreeCacheTest, AProgramHasAFileOfItsOwn) {
  OpenShared(1000);
  const std::string content = "#!/bin/sh";
  const auto lease = Fetch(PutProgram(content));
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  EXPECT_FALSE(IsOneFile(lease->path() / "program", FileOf(content)));
  EXPECT_NE(fs::status(lease->path() / "program").permissions() & fs::perms::owner_exec,
            fs::perms::none);
  EXPECT_EQ(fs::status(FileOf(content)).permissions() & fs::perms::owner_exec, fs::perms::none);
}

TEST_F(SharedTreeCacheTest, WhatIsSharedCostsNothingUntilItsBlobIsGone) {
  OpenShared(250);
  const auto a = Put('a', 100);
  const auto b = Put('b', 100);
  const auto c = Put('c', 100);
  ASSERT_TRUE(Fetch(a).ok());
  ASSERT_TRUE(Fetch(b).ok());
  ASSERT_TRUE(Fetch(c).ok());
  EXPECT_EQ(cache_->Recent(9).size(), 3U);
  OpenShared(250);
  EXPECT_EQ(cache_->Recent(9).size(), 3U) << "nor after a restart";
  for (const char content : {'a', 'b', 'c'}) {
    fs::remove(FileOf(std::string(100, content)));
  }
  cache_->MakeWayFor(0);
  EXPECT_EQ(cache_->Recent(9).size(), 2U);
}

TEST_F(SharedTreeCacheTest, ADiskWithoutRoomIsNoObstacleToWhatIsThere) {
  OpenShared(1000);
  disk_.free = 10;
  const auto lease = Fetch(Put('a', 100));
  EXPECT_TRUE(lease.ok()) << lease.status().ToString();
}

TEST_F(SharedTreeCacheTest, ABlobThatRottedIsNotTaken) {
  OpenShared(1000);
  const auto id = Put('a', 100);
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), FileOf(std::string(100, 'a')), std::string(100, 'x'))
          .ok());
  EXPECT_EQ(Fetch(id).status().code(), StatusCode::kDataLoss);
  blobs_.Put(std::string(100, 'a'));  // the server has set the other aside
  const auto lease = Fetch(id);
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  EXPECT_EQ(*LocalFileSystem().Read(lease->path() / "file"), std::string(100, 'a'));
}

TEST_F(SharedTreeCacheTest, AnUnfinishedDownloadGivesWayToTheBlob) {
  OpenShared(1000);
  const auto id = Put('a', 100);
  fs::create_directories(PathOf(id, ".incoming"));
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), PathOf(id, ".incoming") / "file.part", "aaa").ok());
  const auto lease = Fetch(id);
  ASSERT_TRUE(lease.ok());
  EXPECT_TRUE(IsOneFile(lease->path() / "file", FileOf(std::string(100, 'a'))));
  EXPECT_EQ(FilesIn(lease->path()), 1U);
  EXPECT_EQ(FilesIn(folder_ / "trees"), 2U) << "the tree and its list";
}

TEST_F(SharedTreeCacheTest, AnOutputThatTheServerHasIsOneCopyAfterwards) {
  OpenShared(1000);
  const std::string content(100, 'a');
  const auto id = Put('a', 100);
  fs::create_directories(folder_ / "output");
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder_ / "output" / "file", content).ok());
  cache_->Adopt({{{"file", testing::BlobOf(content), false}}}, folder_ / "output");
  const auto lease = Fetch(id);
  ASSERT_TRUE(lease.ok());
  EXPECT_TRUE(IsOneFile(lease->path() / "file", FileOf(content)));
}

TEST_F(SharedTreeCacheTest, WithoutTheFolderEverythingIsFetched) {
  cache_ = *TreeCache::Open(folder_ / "trees", 1000, clock_, disk_, LocalBlobs("/no/such/folder"));
  const auto lease = Fetch(Put('a', 100));
  ASSERT_TRUE(lease.ok());
  EXPECT_TRUE(IsWritable(lease->path() / "file"));
}

TEST_F(TreeCacheTest, TwoThatWantOneTreeWaitForOneDownload) {
  Open(1 << 20);
  const auto a = Put('a', 100'000);
  Status other;
  {
    const std::jthread second([&] {
      wire::BlobTransfer transfer(server_.channel(), SystemClock(), Milliseconds(2000));
      other = cache_->Fetch(a, transfer, [](auto, auto) {}, stop_.get_token()).status();
    });
    EXPECT_TRUE(cache_->Fetch(a, transfer_, [](auto, auto) {}, stop_.get_token()).ok());
  }
  EXPECT_TRUE(other.ok()) << other.ToString();
}

}  // namespace
}  // namespace tyllm::agent
