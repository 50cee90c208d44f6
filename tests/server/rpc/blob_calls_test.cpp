// SPDX-License-Identifier: Apache-2.0
// BlobService over a real connection.
#include <gtest/gtest.h>

#include <limits>

#include "common/wire/blobs.h"
#include "common/wire/status.h"
#include "tests/support/blob_client.h"
#include "tests/support/faulty_file_system.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::BlobOf;
using testing::CallContext;
using testing::TestServer;

std::string Content(std::size_t size) {
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    content[i] = static_cast<char>(i * 2654435761U >> 24);
  }
  return content;
}

class BlobCalls : public ::testing::Test {
 protected:
  TestServer server_;
  BlobClient blobs_{server_.channel()};
};

TEST_F(BlobCalls, WhatWasUploadedIsDownloadedWholeAndInRanges) {
  const std::string content = Content(3'000'000);  // several messages either way
  const BlobId id = blobs_.Put(content);
  std::string whole;
  ASSERT_TRUE(blobs_.Download(id, 0, 0, whole).ok());
  EXPECT_EQ(whole, content);
  std::string range;
  ASSERT_TRUE(blobs_.Download(id, 1'999'990, 20, range).ok());
  EXPECT_EQ(range, content.substr(1'999'990, 20));
  std::string tail;
  ASSERT_TRUE(blobs_.Download(id, 2'999'000, 0, tail).ok());
  EXPECT_EQ(tail, content.substr(2'999'000));
}

TEST_F(BlobCalls, FindMissingNamesWhatIsNotThere) {
  const BlobId there = blobs_.Put("there");
  const std::vector<BlobId> asked = {BlobOf("a"), there, BlobOf("b")};
  CallContext context;
  v1::FindMissingResponse response;
  ASSERT_TRUE(blobs_.stub().FindMissing(&context, wire::FindMissingToProto(asked), &response).ok());
  EXPECT_EQ(*wire::FromProto(response), (std::vector<BlobId>{BlobOf("a"), BlobOf("b")}));
}

TEST_F(BlobCalls, ABrokenUploadGoesOnWhereItWas) {
  const std::string content = Content(2'500'000);
  const BlobId id = BlobOf(content);
  {
    CallContext context;
    v1::UploadResponse response;
    const auto stream = blobs_.stub().Upload(&context, &response);
    v1::UploadRequest request;
    *request.mutable_blob() = wire::ToProto(id);
    request.set_data(content.substr(0, 1'000'000));
    ASSERT_TRUE(stream->Write(request));
    stream->WritesDone();
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
    EXPECT_EQ(wire::ReasonOf(status), "INCOMPLETE_UPLOAD");
    EXPECT_EQ(wire::FromGrpc(status).NumberOf("offset"), 1'000'000);
    EXPECT_EQ(wire::FromGrpc(status).NumberOf("size"), 2'500'000);
  }
  const v1::QueryUploadResponse query = blobs_.Query(id);
  EXPECT_EQ(query.offset(), 1'000'000U);
  EXPECT_FALSE(query.complete());
  const grpc::Status wrong = blobs_.Upload(id, content, 999);
  EXPECT_EQ(wrong.error_code(), grpc::OUT_OF_RANGE);
  EXPECT_EQ(wire::ReasonOf(wrong), "WRONG_OFFSET");
  EXPECT_EQ(wire::FromGrpc(wrong).NumberOf("offset"), 1'000'000);
  ASSERT_TRUE(blobs_.Upload(id, content, 1'000'000).ok());
  EXPECT_TRUE(blobs_.Query(id).complete());
  std::string whole;
  ASSERT_TRUE(blobs_.Download(id, 0, 0, whole).ok());
  EXPECT_EQ(whole, content);
}

TEST_F(BlobCalls, AnUploadOfWhatIsThereIsAnsweredAtOnce) {
  const BlobId id = blobs_.Put("content");
  EXPECT_TRUE(blobs_.Upload(id, "content").ok());
}

TEST_F(BlobCalls, AWrongDigestIsDataLossAndNothingIsKept) {
  const grpc::Status status = blobs_.Upload(BlobOf("right"), "wrong");
  EXPECT_EQ(status.error_code(), grpc::DATA_LOSS);
  EXPECT_EQ(wire::ReasonOf(status), "WRONG_DIGEST");
  EXPECT_EQ(blobs_.Query(BlobOf("right")).offset(), 0U);
}

TEST_F(BlobCalls, TooManyBytesAndMissingNamesAreRefused) {
  EXPECT_EQ(blobs_.Upload(BlobOf("four"), "fours").error_code(), grpc::INVALID_ARGUMENT);
  CallContext context;
  v1::UploadResponse response;
  const auto stream = blobs_.stub().Upload(&context, &response);
  stream->WritesDone();
  EXPECT_EQ(stream->Finish().error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(BlobCalls, DownloadsSayWhatIsWrong) {
  std::string content;
  EXPECT_EQ(blobs_.Download(BlobOf("absent"), 0, 0, content).error_code(), grpc::NOT_FOUND);
  const BlobId id = blobs_.Put("short");
  EXPECT_EQ(blobs_.Download(id, 6, 0, content).error_code(), grpc::OUT_OF_RANGE);
  CallContext context;
  v1::DownloadRequest request;
  request.mutable_blob()->set_sha256("nonsense");
  v1::DownloadResponse response;
  const auto stream = blobs_.stub().Download(&context, request);
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(wire::ReasonOf(status), "INVALID_ARGUMENT");
  EXPECT_NE(status.error_message().find("blob: sha256"), std::string::npos);
}

TEST_F(BlobCalls, ADownloadThatNobodyReadsEndsWithItsClient) {
  const BlobId id = blobs_.Put(Content(20'000'000));
  CallContext context;
  v1::DownloadRequest request;
  *request.mutable_blob() = wire::ToProto(id);
  v1::DownloadResponse response;
  const auto stream = blobs_.stub().Download(&context, request);
  ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  EXPECT_TRUE(server_.server().Stop().ok());  // not if the call's coroutine hangs
}

struct BatchAnswer {
  grpc::Status status;
  std::vector<std::string> reasons;  ///< of each blob; empty: it is there
};

class BlobBatches : public BlobCalls {
 protected:
  BatchAnswer Send(const std::vector<std::pair<BlobId, std::string>>& blobs) {
    v1::BatchUploadRequest request;
    for (const auto& [id, data] : blobs) {
      v1::BlobContent& content = *request.add_blobs();
      *content.mutable_blob() = wire::ToProto(id);
      content.set_data(data);
    }
    CallContext context;
    v1::BatchUploadResponse response;
    BatchAnswer answer{blobs_.stub().BatchUpload(&context, request, &response), {}};
    for (const v1::UploadedBlob& blob : response.blobs()) {
      answer.reasons.push_back(blob.has_error() ? ReasonOf(blob.error()) : std::string());
    }
    return answer;
  }

  grpc::Status Fetch(const std::vector<BlobId>& ids, v1::BatchDownloadResponse& response) {
    v1::BatchDownloadRequest request;
    for (const BlobId& id : ids) {
      *request.add_blobs() = wire::ToProto(id);
    }
    CallContext context;
    return blobs_.stub().BatchDownload(&context, request, &response);
  }

  static std::string ReasonOf(const google::rpc::Status& error) {
    return wire::ReasonOf(
        {static_cast<grpc::StatusCode>(error.code()), error.message(), error.SerializeAsString()});
  }

  static void ExpectTooLarge(const grpc::Status& status, std::int64_t size, std::int64_t limit) {
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(wire::ReasonOf(status), "INVALID_ARGUMENT");
    EXPECT_EQ(wire::FromGrpc(status).NumberOf("size"), size) << status.error_message();
    EXPECT_EQ(wire::FromGrpc(status).NumberOf("limit"), limit) << status.error_message();
  }
};

TEST_F(BlobBatches, WhatWasSentTogetherIsFetchedTogetherAndAlone) {
  const std::string large = Content(256 << 10);
  const BatchAnswer sent =
      Send({{BlobOf("a"), "a"}, {BlobOf(""), ""}, {BlobOf(large), large}, {BlobOf("a"), "a"}});
  ASSERT_TRUE(sent.status.ok()) << sent.status.error_message();
  EXPECT_EQ(sent.reasons, std::vector<std::string>(4));
  std::string alone;
  ASSERT_TRUE(blobs_.Download(BlobOf(large), 0, 0, alone).ok());
  EXPECT_EQ(alone, large);
  v1::BatchDownloadResponse response;
  ASSERT_TRUE(Fetch({BlobOf(large), BlobOf(""), BlobOf("a"), BlobOf("a")}, response).ok());
  ASSERT_EQ(response.blobs_size(), 4);
  EXPECT_EQ(*wire::FromProto(response.blobs(0).blob()), BlobOf(large));
  EXPECT_EQ(response.blobs(0).data(), large);
  EXPECT_EQ(response.blobs(1).data(), "");
  EXPECT_EQ(response.blobs(3).data(), "a");
  EXPECT_FALSE(response.blobs(1).has_error());
}

TEST_F(BlobBatches, AWrongBlobIsRefusedAlone) {
  const BatchAnswer sent =
      Send({{BlobOf("a"), "a"}, {BlobOf("right"), "wrong"}, {BlobOf("four"), "fours"}});
  ASSERT_TRUE(sent.status.ok()) << sent.status.error_message();
  EXPECT_EQ(sent.reasons, (std::vector<std::string>{"", "WRONG_DIGEST", "INVALID_ARGUMENT"}));
  EXPECT_TRUE(blobs_.Query(BlobOf("a")).complete());
  EXPECT_FALSE(blobs_.Query(BlobOf("right")).complete());
}

TEST_F(BlobBatches, ABlobThatIsNotThereIsAnsweredAlone) {
  blobs_.Put("a");
  v1::BatchDownloadResponse response;
  ASSERT_TRUE(Fetch({BlobOf("absent"), BlobOf("a")}, response).ok());
  ASSERT_EQ(response.blobs_size(), 2);
  EXPECT_EQ(ReasonOf(response.blobs(0).error()), "NOT_FOUND");
  EXPECT_EQ(response.blobs(1).data(), "a");
}

TEST_F(BlobBatches, MoreThanABatchMayHaveIsRefusedAndNothingIsDone) {
  const std::string large = Content((256 << 10) + 1);
  ExpectTooLarge(Send({{BlobOf("a"), "a"}, {BlobOf(large), large}}).status, (256 << 10) + 1,
                 256 << 10);
  std::vector<std::pair<BlobId, std::string>> much;
  for (int i = 0; i < 9; ++i) {
    const std::string content = Content((256 << 10) - 10) + std::to_string(i);
    much.emplace_back(BlobOf(content), content);
  }
  ExpectTooLarge(Send(much).status, 9 * ((256 << 10) - 9), 2 << 20);
  EXPECT_FALSE(blobs_.Query(much[0].first).complete());
  std::vector<std::pair<BlobId, std::string>> many;
  for (int i = 0; i < 1001; ++i) {
    many.emplace_back(BlobOf(std::to_string(i)), std::to_string(i));
  }
  ExpectTooLarge(Send(many).status, 1001, 1000);
  EXPECT_FALSE(blobs_.Query(BlobOf("a")).complete());
  v1::BatchDownloadResponse response;
  std::vector<BlobId> ids(1001, BlobOf("a"));
  ExpectTooLarge(Fetch(ids, response), 1001, 1000);
  many.pop_back();
  EXPECT_TRUE(Send(many).status.ok());
}

TEST_F(BlobBatches, ABlobWhoseNameIsNoneIsRefused) {
  v1::BatchUploadRequest request;
  request.add_blobs()->mutable_blob()->set_sha256("nonsense");
  CallContext context;
  v1::BatchUploadResponse response;
  const grpc::Status status = blobs_.stub().BatchUpload(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("blobs: sha256"), std::string::npos);
}

TEST_F(BlobBatches, AnAnswerInWhichAllIsWrongHasRoom) {
  std::vector<std::pair<BlobId, std::string>> blobs;
  for (int i = 0; i < 1000; ++i) {
    blobs.emplace_back(BlobOf(std::to_string(i)), "wrong");
    blobs.back().first.size = 5;
  }
  const BatchAnswer sent = Send(blobs);
  ASSERT_TRUE(sent.status.ok()) << sent.status.error_message();
  EXPECT_EQ(sent.reasons, std::vector<std::string>(1000, "WRONG_DIGEST"));
}

class FullDisk final : public testing::FaultyFileSystem {
 public:
  FullDisk() : FaultyFileSystem(std::numeric_limits<int>::max()) {}

  Result<std::uint64_t> FreeBytes(const Path& /*path*/) override { return std::uint64_t{1000}; }
};

// A disk with less free than the server wants takes what workers report, and nothing new.
TEST(BlobBatchesWhenFull, OnlyWhatIsOfAnAttemptIsTaken) {
  FullDisk disk;
  TestServer server({}, disk);
  BlobClient blobs(server.channel());
  v1::BatchUploadRequest request;
  v1::BlobContent& content = *request.add_blobs();
  *content.mutable_blob() = wire::ToProto(BlobOf("a"));
  content.set_data("a");
  v1::BatchUploadResponse response;
  CallContext refused;
  const grpc::Status status = blobs.stub().BatchUpload(&refused, request, &response);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_TRUE(wire::RetryDelayMillis(status).has_value());
  request.set_of_attempt(true);
  CallContext taken;
  EXPECT_TRUE(blobs.stub().BatchUpload(&taken, request, &response).ok());
}

TEST(BlobCallsIdle, AnUploadThatSaysNothingIsEndedAndKept) {
  app::ServerConfig config;
  config.upload_idle_seconds = 1;
  TestServer server(config);
  BlobClient blobs(server.channel());
  CallContext context;
  v1::UploadResponse response;
  const auto stream = blobs.stub().Upload(&context, &response);
  v1::UploadRequest request;
  *request.mutable_blob() = wire::ToProto(BlobOf("content"));
  request.set_data("con");
  ASSERT_TRUE(stream->Write(request));
  const grpc::Status status = stream->Finish();  // without WritesDone: the server gives up
  EXPECT_EQ(status.error_code(), grpc::DEADLINE_EXCEEDED);
  EXPECT_EQ(wire::ReasonOf(status), "UPLOAD_IDLE");
  EXPECT_EQ(wire::FromGrpc(status).NumberOf("offset"), 3);
  EXPECT_EQ(wire::FromGrpc(status).NumberOf("size"), 7);
  EXPECT_EQ(blobs.Query(BlobOf("content")).offset(), 3U);
}

}  // namespace
}  // namespace tyllm::server::rpc
