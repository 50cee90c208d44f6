// SPDX-License-Identifier: Apache-2.0
// Trees of small files cross in few calls.
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "common/wire/blob_transfer.h"
#include "common/wire/channel.h"
#include "tests/common/wire/memory_blob_server.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::wire {
namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kPatience{20'000};

void WriteFile(const Path& file, const std::string& content) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << content;
}

std::string Text(int number) {
  return "text " + std::to_string(number) + std::string(100, '.');
}

class BatchTransfer : public ::testing::Test {
 protected:
  /// `small` files of about 100 bytes in folders of ten, and `large` ones of 300 KiB.
  void Fill(int small, int large = 0) {
    for (int i = 0; i < small; ++i) {
      WriteFile(from_ / std::to_string(i / 10) / std::to_string(i), Text(i));
    }
    for (int i = 0; i < large; ++i) {
      WriteFile(from_ / ("large" + std::to_string(i)),
                std::string(300 << 10, static_cast<char>('a' + i)));
    }
    tree_ = *format::ScanTree(from_.path());
  }

  std::unique_ptr<BlobTransfer> To(MemoryBlobServer& server, Milliseconds patience = kPatience) {
    return std::make_unique<BlobTransfer>(*MakeChannel(server.address(), {}), SystemClock(),
                                          patience);
  }

  BlobTransfer::Progress NoteProgress() {
    return [this](std::uint64_t done, std::uint64_t total) {
      EXPECT_LE(done, total);
      done_ = done;
    };
  }

  Status Send(BlobTransfer& transfer, const std::stop_token& stop = {}) {
    return transfer.UploadTree(tree_, from_.path(), NoteProgress(), stop);
  }

  Status Fetch(BlobTransfer& transfer) {
    return transfer.DownloadTree(tree_, to_.path(), NoteProgress(), {});
  }

  void ExpectFetched() {
    const auto fetched = format::ScanTree(to_.path());
    ASSERT_TRUE(fetched.ok()) << fetched.status().ToString();
    EXPECT_EQ(*fetched, tree_);
    EXPECT_EQ(done_, tree_.bytes());
  }

  testing::TemporaryDirectory from_;
  testing::TemporaryDirectory to_;
  format::Tree tree_;
  std::uint64_t done_ = 0;
};

TEST_F(BatchTransfer, TwoThousandSmallFilesCrossInFewCalls) {
  Fill(2000);
  fs::permissions(from_ / "0/7", fs::perms(0755));
  tree_ = *format::ScanTree(from_.path());
  MemoryBlobServer server({});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(done_, tree_.bytes());
  EXPECT_EQ(server.state().uploads, 2);
  EXPECT_EQ(server.state().alone, 2) << "the list of files";
  EXPECT_EQ(server.state().blobs.size(), 2001U);
  ASSERT_TRUE(Fetch(*transfer).ok());
  ExpectFetched();
  EXPECT_EQ(server.state().downloads, 2);
  EXPECT_EQ(server.state().alone, 2);
}

TEST_F(BatchTransfer, LargeFilesGoBesideSmallOnes) {
  Fill(50, 3);
  WriteFile(from_ / "empty", "");
  WriteFile(from_ / "limit", std::string(256 << 10, 'x'));
  tree_ = *format::ScanTree(from_.path());
  MemoryBlobServer server({});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(done_, tree_.bytes());
  EXPECT_EQ(server.state().blobs_in_batches, 52);
  EXPECT_EQ(server.state().alone, 2 + 3 * 2);
  ASSERT_TRUE(Fetch(*transfer).ok());
  ExpectFetched();
}

TEST_F(BatchTransfer, OnlyWhatIsMissingCrosses) {
  Fill(30);
  MemoryBlobServer server({});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  WriteFile(from_ / "new", "new");
  tree_ = *format::ScanTree(from_.path());
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(server.state().blobs_in_batches, 31);
  WriteFile(to_ / "0/3", Text(3));
  WriteFile(to_ / "0/4", "something else");
  WriteFile(to_ / "0/5.part", "an earlier fetch was interrupted here, and of another file");
  ASSERT_TRUE(Fetch(*transfer).ok());
  ExpectFetched();
  EXPECT_EQ(server.state().blobs_in_batches, 31 + 30);
}

TEST_F(BatchTransfer, FourMoveAtATimeAndNoMore) {
  for (int i = 0; i < 80; ++i) {  // ten batches of 2 MiB
    WriteFile(from_ / std::to_string(i), std::string(256 << 10, static_cast<char>(i + 1)));
  }
  tree_ = *format::ScanTree(from_.path());
  MemoryBlobServer server({.each_batch = Milliseconds(100)});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(server.state().uploads, 10);
  EXPECT_EQ(server.state().most_running, 4);
}

TEST_F(BatchTransfer, AServerThatKnowsNoBatchesGetsAndGivesOneByOne) {
  Fill(40, 1);
  MemoryBlobServer server({.knows_batches = false});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(done_, tree_.bytes());
  EXPECT_EQ(server.state().uploads, 1) << "it is asked once";
  EXPECT_EQ(server.state().blobs.size(), 42U);
  ASSERT_TRUE(Fetch(*transfer).ok());
  ExpectFetched();
  EXPECT_EQ(server.state().downloads, 0);
}

TEST_F(BatchTransfer, AfterTheConnectionBrokeTheBatchIsSentAgain) {
  Fill(40);
  MemoryBlobServer server({.broken_batches = 2});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(server.state().uploads, 3);
  EXPECT_EQ(done_, tree_.bytes());
}

TEST_F(BatchTransfer, AfterTheConnectionBrokeTheBatchIsFetchedAgain) {
  Fill(40);
  MemoryBlobServer server({.broken_batches = 2});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  ASSERT_TRUE(Fetch(*transfer).ok());
  ExpectFetched();
  EXPECT_EQ(server.state().downloads, 3);
}

TEST_F(BatchTransfer, OnlyWhatWasNotTakenIsSentAgain) {
  Fill(40);
  MemoryBlobServer server({.half_batches = 1});
  ASSERT_TRUE(Send(*To(server)).ok());
  EXPECT_EQ(server.state().uploads, 2);
  EXPECT_EQ(server.state().blobs_in_batches, 40 + 20);
  EXPECT_EQ(server.state().blobs.size(), 41U);
}

TEST_F(BatchTransfer, OnlyWhatDidNotComeIsFetchedAgain) {
  Fill(40);
  MemoryBlobServer server({.half_batches = 1});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  ASSERT_TRUE(Fetch(*transfer).ok());
  EXPECT_EQ(server.state().blobs_in_batches, 2 * (40 + 20));
  ExpectFetched();
}

TEST_F(BatchTransfer, ANetworkThatDoesNotComeBackIsGivenUpAfterThePatience) {
  Fill(3);
  MemoryBlobServer server({.broken_batches = 1000});
  const Status status = Send(*To(server, Milliseconds(300)));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status.ToString();
}

TEST_F(BatchTransfer, AFileThatChangedIsNamedAndTheOthersAreSent) {
  Fill(10);
  MemoryBlobServer server({.refused = Text(5)});
  const Status status = Send(*To(server));
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_NE(status.message().find((from_ / "0/5").string()), std::string::npos) << status.message();
  EXPECT_EQ(server.state().blobs.size(), 9U);
}

TEST_F(BatchTransfer, AFileThatBecameShorterIsNamed) {
  Fill(10);
  fs::resize_file(from_ / "0/5", 3);
  MemoryBlobServer server({});
  const Status status = Send(*To(server));
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_NE(status.message().find((from_ / "0/5").string()), std::string::npos) << status.message();
}

TEST_F(BatchTransfer, WhatIsNotThereIsNamed) {
  Fill(10);
  MemoryBlobServer server({});
  const Status status = Fetch(*To(server));
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status.ToString();
  EXPECT_NE(status.message().find((to_ / "0/").string()), std::string::npos) << status.message();
}

TEST_F(BatchTransfer, WrongBytesAreNotKept) {
  Fill(10);
  MemoryBlobServer server({.lies = true});
  const auto transfer = To(server);
  ASSERT_TRUE(Send(*transfer).ok());
  EXPECT_EQ(Fetch(*transfer).code(), StatusCode::kDataLoss);
  for (const auto& entry : fs::recursive_directory_iterator(to_.path())) {
    EXPECT_TRUE(entry.is_directory()) << entry.path();
  }
}

TEST_F(BatchTransfer, AStopEndsItSoon) {
  Fill(2000);
  MemoryBlobServer server({.each_batch = Milliseconds(60'000)});
  std::stop_source stop;
  const std::jthread stopper([&] {
    while (server.state().uploads == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Send(*To(server), stop.get_token()).code(), StatusCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

}  // namespace
}  // namespace tyllm::wire
