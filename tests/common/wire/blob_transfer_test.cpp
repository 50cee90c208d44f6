// SPDX-License-Identifier: Apache-2.0
#include "common/wire/blob_transfer.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "common/wire/channel.h"
#include "common/wire/types.h"
#include "tests/support/temporary_directory.h"
#include "tyllm/v1/blobs.grpc.pb.h"

namespace tyllm::wire {
namespace {

/// A clock that any thread moves.
class SharedClock final : public Clock {
 public:
  Steady Now() const override { return Steady(Milliseconds(now_.load())); }

  std::int64_t UnixMillis() const override { return now_; }

  void Advance(Milliseconds by) { now_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_{1'000'000};
};

constexpr std::uint64_t kFileBytes = 4 << 20;

/// What becomes of uploads.
struct Tries {
  std::uint64_t growth = 0;  ///< bytes that each brings
  int failing = 7;           ///< the first of them
  Milliseconds each{2000};   ///< how long it takes by the test's clock
  grpc::StatusCode error = grpc::StatusCode::RESOURCE_EXHAUSTED;
};

/// Has a part of every blob. What a try brings to it depends on the test.
class PartlyFullServer final : public v1::BlobService::Service {
 public:
  PartlyFullServer(SharedClock& clock, const Tries& plan) : clock_(clock), plan_(plan) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  ~PartlyFullServer() override { server_->Shutdown(); }

  PartlyFullServer(const PartlyFullServer&) = delete;
  PartlyFullServer& operator=(const PartlyFullServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  int tries() const { return tries_; }

  grpc::Status FindMissing(grpc::ServerContext* /*context*/, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override {
    *response->mutable_missing() = request->blobs();
    return grpc::Status::OK;
  }

  grpc::Status QueryUpload(grpc::ServerContext* /*context*/,
                           const v1::QueryUploadRequest* /*request*/,
                           v1::QueryUploadResponse* response) override {
    response->set_offset(offset_);
    return grpc::Status::OK;
  }

  grpc::Status Upload(grpc::ServerContext* /*context*/,
                      grpc::ServerReader<v1::UploadRequest>* reader,
                      v1::UploadResponse* response) override {
    v1::UploadRequest request;
    reader->Read(&request);
    reader->Read(&request);
    clock_.Advance(plan_.each);
    while (plan_.each > kLong && reader->Read(&request)) {
    }
    offset_ = std::min(kFileBytes, offset_ + plan_.growth);
    if (++tries_ <= plan_.failing) {
      return {plan_.error, "the disk is full"};
    }
    response->set_size(kFileBytes);
    return grpc::Status::OK;
  }

 private:
  static constexpr Milliseconds kLong{10'000};  ///< so that the client is still sending then

  SharedClock& clock_;
  const Tries plan_;
  std::atomic<std::uint64_t> offset_ = 1000;
  std::atomic<int> tries_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class BlobTransferTest : public ::testing::Test {
 protected:
  Status Send(const PartlyFullServer& server, Milliseconds patience) {
    EXPECT_TRUE(
        WriteFileAtomically(LocalFileSystem(), folder_ / "file", std::string(kFileBytes, 'x'))
            .ok());
    BlobTransfer transfer(*MakeChannel(server.address(), {}), clock_, patience);
    return transfer.UploadTree(*format::ScanTree(folder_.path()), folder_.path(), [](auto, auto) {},
                               {});
  }

  testing::TemporaryDirectory folder_;
  SharedClock clock_;
};

TEST_F(BlobTransferTest, BytesThatWereThereBeforeAreNoMovement) {
  const PartlyFullServer server(clock_, {});
  const Status status = Send(server, Milliseconds(5000));
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_NE(status.message().find("the disk is full"), std::string::npos) << status.message();
  EXPECT_LE(server.tries(), 4);
}

TEST_F(BlobTransferTest, AServerThatTakesSomeBytesInEachTryIsWaitedFor) {
  const PartlyFullServer server(clock_, {.growth = 1000});
  EXPECT_TRUE(Send(server, Milliseconds(5000)).ok());
  EXPECT_GE(server.tries(), 8);
}

// The server has not noticed that the connection broke: nobody can go on with what came by it.
TEST_F(BlobTransferTest, AfterALongTryThatBrokeThereIsAnother) {
  const PartlyFullServer server(
      clock_, {.failing = 2, .each = Milliseconds(20'000), .error = grpc::StatusCode::UNAVAILABLE});
  const Status status = Send(server, Milliseconds(5000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_GE(server.tries(), 3);
}

}  // namespace
}  // namespace tyllm::wire
