// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/format/tree.h"
#include "common/wire/types.h"
#include "tests/support/test_server.h"
#include "tyllm/v1/blobs.grpc.pb.h"

namespace tyllm::testing {

inline BlobId BlobOf(const std::string& content) {
  return {DigestOf(content), content.size()};
}

/// The blob service as a test calls it, message by message.
class BlobClient {
 public:
  explicit BlobClient(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::BlobService::NewStub(channel)) {}

  /// Sends `content` from `offset` on as blob `id`, in pieces.
  grpc::Status Upload(const BlobId& id, const std::string& content, std::uint64_t offset = 0,
                      std::size_t piece = 1 << 20) {
    CallContext context;
    v1::UploadResponse response;
    const auto stream = stub_->Upload(&context, &response);
    v1::UploadRequest request;
    *request.mutable_blob() = wire::ToProto(id);
    request.set_offset(offset);
    bool more = stream->Write(request);
    for (std::size_t at = offset; more && at < content.size(); at += piece) {
      v1::UploadRequest data;
      data.set_data(content.substr(at, piece));
      more = stream->Write(data);
    }
    stream->WritesDone();
    grpc::Status status = stream->Finish();
    if (status.ok()) {
      EXPECT_EQ(response.size(), id.size);
    }
    return status;
  }

  BlobId Put(const std::string& content) {
    const BlobId id = BlobOf(content);
    const grpc::Status status = Upload(id, content);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return id;
  }

  /// Uploads a folder of one file; the tree's name.
  BlobId PutTree(const std::string& path, const std::string& content) {
    const format::Tree tree{{{path, Put(content), false}}};
    return Put(format::ToText(tree));
  }

  grpc::Status Download(const BlobId& id, std::uint64_t offset, std::uint64_t limit,
                        std::string& content) {
    CallContext context;
    v1::DownloadRequest request;
    *request.mutable_blob() = wire::ToProto(id);
    request.set_offset(offset);
    request.set_limit(limit);
    const auto stream = stub_->Download(&context, request);
    v1::DownloadResponse response;
    while (stream->Read(&response)) {
      content += response.data();
    }
    return stream->Finish();
  }

  v1::QueryUploadResponse Query(const BlobId& id) {
    CallContext context;
    v1::QueryUploadRequest request;
    *request.mutable_blob() = wire::ToProto(id);
    v1::QueryUploadResponse response;
    const grpc::Status status = stub_->QueryUpload(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  v1::BlobService::Stub& stub() { return *stub_; }

 private:
  std::unique_ptr<v1::BlobService::Stub> stub_;
};

}  // namespace tyllm::testing
