// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/blob_batches.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/limits.h"
#include "common/wire/types.h"
#include "server/rpc/call.h"

namespace tyllm::server::rpc {

namespace {

using boost::asio::awaitable;
using telemetry::Metric;

Status TooLarge(const std::string& what, std::uint64_t found, std::uint64_t limit) {
  return InvalidArgument("blobs: " + what + " " + std::to_string(found) + ", at most " +
                         std::to_string(limit) + " is expected; send large blobs one by one, and " +
                         "small ones in several batches")
      .With("size", static_cast<std::int64_t>(found))
      .With("limit", static_cast<std::int64_t>(limit));
}

/// What a batch has, against what one may have.
class Size {
 public:
  Status Add(std::uint64_t bytes) {
    if (bytes > wire::kMaxBatchedBlobBytes) {
      return TooLarge("bytes of a blob of the batch are", bytes, wire::kMaxBatchedBlobBytes);
    }
    if (++blobs_ > wire::kMaxBatchBlobs) {
      return TooLarge("blobs of the batch are", blobs_, wire::kMaxBatchBlobs);
    }
    bytes_ += bytes;
    return bytes_ <= wire::kMaxBatchBytes
               ? OkStatus()
               : TooLarge("bytes of the batch are", bytes_, wire::kMaxBatchBytes);
  }

 private:
  std::uint64_t blobs_ = 0;
  std::uint64_t bytes_ = 0;
};

// What the call of the one blob would have ended with.
void SetError(const Environment& environment, std::string_view method, const Status& status,
              google::rpc::Status& error) {
  error.ParseFromString(AnswerOf(environment, method, status).error_details());
}

}  // namespace

awaitable<Status> ReceiveBatch(Environment environment, const v1::BatchUploadRequest* request,
                               v1::BatchUploadResponse* response) {
  Size size;
  std::vector<blobs::BlobStore::Content> contents;
  std::uint64_t bytes = 0;
  for (const v1::BlobContent& blob : request->blobs()) {
    TYLLM_CO_ASSIGN(const BlobId id, wire::FromProto(blob.blob()).Annotate("blobs"));
    TYLLM_CO_TRY(size.Add(std::max<std::uint64_t>(id.size, blob.data().size())));
    contents.push_back({id, blob.data()});
    bytes += blob.data().size();
  }
  if (!request->of_attempt()) {
    TYLLM_CO_TRY(environment.farm.intake.Check());
  }
  environment.metrics.Count(Metric::kBlobBytes, {"in"}, static_cast<double>(bytes));
  const std::vector<Status> ended = environment.farm.parts.blobs.WriteTogether(contents);
  for (std::size_t i = 0; i < contents.size(); ++i) {
    v1::UploadedBlob& blob = *response->add_blobs();
    *blob.mutable_blob() = wire::ToProto(contents[i].id);
    if (!ended[i].ok()) {
      SetError(environment, "BlobService.Upload", ended[i], *blob.mutable_error());
    }
  }
  co_return OkStatus();
}

awaitable<Status> SendBatch(Environment environment, const v1::BatchDownloadRequest* request,
                            v1::BatchDownloadResponse* response) {
  Size size;
  std::vector<BlobId> ids;
  for (const v1::BlobId& proto : request->blobs()) {
    TYLLM_CO_ASSIGN(const BlobId id, wire::FromProto(proto).Annotate("blobs"));
    TYLLM_CO_TRY(size.Add(id.size));
    ids.push_back(id);
  }
  for (const BlobId& id : ids) {
    v1::DownloadedBlob& blob = *response->add_blobs();
    *blob.mutable_blob() = wire::ToProto(id);
    auto content = environment.farm.parts.blobs.ReadSmall(id, wire::kMaxBatchedBlobBytes);
    if (!content.ok()) {
      SetError(environment, "BlobService.Download", content.status(), *blob.mutable_error());
      continue;
    }
    environment.metrics.Count(Metric::kBlobBytes, {"out"}, static_cast<double>(id.size));
    blob.set_data(*std::move(content));
  }
  co_return OkStatus();
}

}  // namespace tyllm::server::rpc
