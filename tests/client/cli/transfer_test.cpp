// SPDX-License-Identifier: Apache-2.0
#include "client/cli/transfer.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "common/format/tree.h"
#include "common/wire/types.h"
#include "tests/support/temporary_directory.h"
#include "tyllm/v1/blobs.grpc.pb.h"

// Two fetches, and what an earlier one left, in one place.
namespace tyllm::client {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 64 << 10;

/// Gives blobs in pieces; after the first of a large one it waits until it may go on.
class BlobServer final : public v1::BlobService::Service {
 public:
  BlobServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  ~BlobServer() override {
    goes_on_ = true;
    server_->Shutdown();
  }

  BlobServer(const BlobServer&) = delete;
  BlobServer& operator=(const BlobServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  BlobId Put(const std::string& content) {
    const BlobId id{DigestOf(content), content.size()};
    blobs_[id.ToString()] = content;
    return id;
  }

  BlobId PutTree(const std::map<std::string, std::string>& files) {
    format::Tree tree;
    for (const auto& [path, content] : files) {
      tree.entries.push_back({path, Put(content), false});
    }
    return Put(ToText(tree));
  }

  void Stop() { goes_on_ = false; }

  void GoOn() { goes_on_ = true; }

  /// Pieces of large blobs that were given so far.
  int pieces() const { return pieces_; }

  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override {
    const std::string& content = blobs_.at(wire::FromProto(request->blob())->ToString());
    for (std::size_t at = request->offset(); at < content.size(); at += kPiece) {
      v1::DownloadResponse response;
      response.set_data(content.substr(at, kPiece));
      if (!writer->Write(response) || context->IsCancelled()) {
        return grpc::Status::CANCELLED;
      }
      pieces_ += content.size() > kPiece ? 1 : 0;
      while (content.size() > kPiece && !goes_on_ && !context->IsCancelled()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    return grpc::Status::OK;
  }

 private:
  std::map<std::string, std::string> blobs_;
  std::atomic<bool> goes_on_ = true;
  std::atomic<int> pieces_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class FetchTest : public ::testing::Test {
 protected:
  Result<Path> Fetch(const BlobId& tree, const std::stop_token& stop = {}) {
    const Address address{server_.address(), {}};
    const Session session(address, SystemClock(), stop);
    const auto farm = Connect(address, SystemClock(), Milliseconds(0));
    return FetchTree(**farm, session, tree, target_, true);
  }

  /// As a killed one leaves it: the first piece of a large file is there.
  void FetchUntilTheFirstPiece(const BlobId& tree) {
    const int before = server_.pieces();
    server_.Stop();
    std::stop_source stop;
    std::jthread fetching([&] { EXPECT_FALSE(Fetch(tree, stop.get_token()).ok()); });
    while (server_.pieces() == before || Largest() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    stop.request_stop();
    fetching.join();
    server_.GoOn();
  }

  /// Bytes of the largest unfinished file.
  std::uint64_t Largest() const {
    std::uint64_t largest = 0;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path(), error)) {
      if (entry.path().extension() == ".part") {
        largest = std::max<std::uint64_t>(largest, entry.file_size(error));
      }
    }
    return largest;
  }

  void ExpectThere(const BlobId& tree) const {
    const auto there = format::ScanTree(target_);
    ASSERT_TRUE(there.ok()) << there.status().ToString();
    EXPECT_EQ(IdOf(*there), tree);
    EXPECT_FALSE(fs::exists(folder_ / "m.incoming.lock"));
  }

  Path IncomingOf(const BlobId& tree) const {
    return folder_ / ("m." + tree.sha256.Hex().substr(0, 12) + ".incoming");
  }

  testing::TemporaryDirectory folder_;
  Path target_ = folder_ / "m";
  BlobServer server_;
};

TEST_F(FetchTest, TheSecondOfTwoIntoOnePlaceIsRefused) {
  const BlobId tree = server_.PutTree({{"w", std::string(40 * kPiece, 'x')}});
  server_.Stop();
  std::jthread first([&] {
    const auto fetched = Fetch(tree);
    EXPECT_TRUE(fetched.ok()) << fetched.status().ToString();
  });
  while (server_.pieces() == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Status second = Fetch(tree).status();
  EXPECT_EQ(second.code(), StatusCode::kFailedPrecondition) << second.ToString();
  server_.GoOn();
  first.join();
  ExpectThere(tree);
  EXPECT_TRUE(Fetch(tree).ok());
}

TEST_F(FetchTest, GoesOnWhereOneOfTheSameTreeStopped) {
  const BlobId tree = server_.PutTree({{"w", std::string(40 * kPiece, 'x')}});
  FetchUntilTheFirstPiece(tree);
  const int before = server_.pieces();
  ASSERT_TRUE(Fetch(tree).ok());
  EXPECT_LT(server_.pieces() - before, 40);
  ExpectThere(tree);
}

TEST_F(FetchTest, TakesNothingOfWhatOneOfAnotherTreeLeft) {
  const BlobId other = server_.PutTree(
      {{"a", "of another"}, {"shared", "one"}, {"w", std::string(40 * kPiece, 'x')}});
  FetchUntilTheFirstPiece(other);
  const BlobId tree =
      server_.PutTree({{"shared", "another"}, {"w", std::string(40 * kPiece, 'y')}});
  const auto fetched = Fetch(tree);
  ASSERT_TRUE(fetched.ok()) << fetched.status().ToString();
  ExpectThere(tree);
}

TEST_F(FetchTest, WhatIsNotInTheTreeDoesNotComeIn) {
  const BlobId tree = server_.PutTree({{"sub/w", "abc"}});
  fs::create_directories(IncomingOf(tree) / "sub");
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), IncomingOf(tree) / "sub" / "w.part.part", "x").ok());
  ASSERT_TRUE(Fetch(tree).ok());
  ExpectThere(tree);
}

TEST_F(FetchTest, AWrongBeginningIsFetchedAnew) {
  const BlobId tree = server_.PutTree({{"w", "abcdef"}});
  fs::create_directories(IncomingOf(tree));
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), IncomingOf(tree) / "w.part", "xyz").ok());
  const auto fetched = Fetch(tree);
  ASSERT_TRUE(fetched.ok()) << fetched.status().ToString();
  ExpectThere(tree);
}

TEST_F(FetchTest, AStopIsSeenWhileFilesAreDigested) {
  const BlobId tree = server_.PutTree({{"w", "abc"}});
  ASSERT_TRUE(Fetch(tree).ok());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(format::ScanTree(target_, {}, stop.get_token()).status().code(),
            StatusCode::kCancelled);
  EXPECT_EQ(DigestOfFile(target_ / "w", stop.get_token()).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(format::ScanFiles(target_, {"w"}, {}, stop.get_token()).status().code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace tyllm::client
