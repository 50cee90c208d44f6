// SPDX-License-Identifier: Apache-2.0
// BlobService over a real connection.
#include <gtest/gtest.h>

#include "common/wire/blobs.h"
#include "common/wire/status.h"
#include "tests/support/blob_client.h"

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
