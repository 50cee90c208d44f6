// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/strand.hpp>

#include "common/wire/blobs.h"
#include "server/rpc/blob_batches.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"
#include "tyllm/v1/blobs.grpc.pb.h"

// Calls of this service run wholly on the threads for transfers: they touch the blob store, which
// blocks on the disk, and nothing of the farm's other state.
namespace tyllm::server::rpc {

namespace {

using boost::asio::awaitable;
using UploadStream = ReadStream<v1::UploadRequest>;
using DownloadStream = WriteStream<v1::DownloadResponse>;
using telemetry::Metric;

struct UploadState {
  std::uint64_t offset = 0;
  bool complete = false;
};

awaitable<Result<std::vector<BlobId>>> FindMissingOf(core::Farm& farm, std::vector<BlobId> ids) {
  for (const BlobId& id : ids) {
    farm.parts.blobs.NoteUse(id);  // before it is found to be there
  }
  co_return farm.parts.blobs.FindMissing(ids);
}

awaitable<Result<UploadState>> StateOfUpload(core::Farm& farm, BlobId id) {
  farm.parts.blobs.NoteUse(id);
  TYLLM_CO_ASSIGN(const bool complete, farm.parts.blobs.Has(id));
  TYLLM_CO_ASSIGN(const std::uint64_t offset, farm.parts.blobs.UploadOffset(id));
  co_return UploadState{offset, complete};
}

class Receiver {
 public:
  Receiver(const Environment& environment, UploadStream& stream)
      : environment_(environment), stream_(stream) {}

  /// The whole upload; the blob's size, also when somebody else has completed it meanwhile.
  awaitable<Result<std::uint64_t>> Receive() {
    TYLLM_CO_ASSIGN(const bool started, co_await Next());
    if (!started) {
      co_return InvalidArgument("the upload has no message, expected one that names the blob");
    }
    TYLLM_CO_ASSIGN(const BlobId id, wire::FromProto(stream_.message().blob()).Annotate("blob"));
    size_ = id.size;
    arrived_ = stream_.message().offset();
    is_new_ = !stream_.message().of_attempt();
    TYLLM_CO_TRY(CheckIntake());
    auto writer = Start(id);
    if (writer.status().code() == StatusCode::kAlreadyExists) {
      co_return id.size;
    }
    TYLLM_CO_TRY(writer.status());
    bool more = true;
    while (more) {
      TYLLM_CO_TRY(Append(**writer));
      TYLLM_CO_ASSIGN(more, co_await Next());
    }
    TYLLM_CO_TRY((*writer)->Commit());
    co_return id.size;
  }

 private:
  awaitable<Result<bool>> Next() {
    const std::optional<bool> got = co_await stream_.Read(environment_.upload_idle_limit);
    if (!got) {
      co_return DeadlineExceeded("no byte of the upload came for " +
                                 std::to_string(environment_.upload_idle_limit.count() / 1000) +
                                 " s; what came is kept, ask where to go on and send the rest")
          .With("offset", static_cast<std::int64_t>(arrived_))
          .With("size", static_cast<std::int64_t>(size_));
    }
    co_return *got;
  }

  Result<std::unique_ptr<blobs::BlobWriter>> Start(const BlobId& id) {
    const std::uint64_t offset = stream_.message().offset();
    auto writer = environment_.farm.parts.blobs.StartUpload(id, offset);
    if (writer.ok() && offset > 0) {
      environment_.metrics.Count(Metric::kBlobResumes);
    }
    return writer;
  }

  Status CheckIntake() const { return is_new_ ? environment_.farm.intake.Check() : OkStatus(); }

  Status Append(blobs::BlobWriter& writer) {
    const std::string& data = stream_.message().data();
    TYLLM_TRY(CheckIntake());
    arrived_ += data.size();
    environment_.metrics.Count(Metric::kBlobBytes, {"in"}, static_cast<double>(data.size()));
    return writer.Append(std::as_bytes(std::span(data)));
  }

  const Environment& environment_;
  UploadStream& stream_;
  std::uint64_t size_ = 0;
  std::uint64_t arrived_ = 0;
  bool is_new_ = true;  ///< not of what a worker reports
};

awaitable<Status> ReceiveBlob(UploadStream& stream, Environment environment,
                              v1::UploadResponse* response) {
  Receiver receiver(environment, stream);
  TYLLM_CO_ASSIGN(const std::uint64_t size, co_await receiver.Receive());
  response->set_size(size);
  co_return OkStatus();
}

awaitable<Status> SendBlob(DownloadStream& stream, Environment environment, Result<BlobId> id,
                           std::uint64_t offset, std::uint64_t limit) {
  TYLLM_CO_TRY(id.status());
  TYLLM_CO_ASSIGN(const auto reader, environment.farm.parts.blobs.OpenRead(*id, offset, limit));
  while (true) {
    v1::DownloadResponse response;
    std::string& data = *response.mutable_data();
    data.resize(wire::kMaxPieceBytes);
    TYLLM_CO_ASSIGN(const std::size_t got, reader->Read(std::as_writable_bytes(std::span(data))));
    if (got == 0) {
      co_return OkStatus();
    }
    data.resize(got);
    environment.metrics.Count(Metric::kBlobBytes, {"out"}, static_cast<double>(got));
    if (!co_await stream.Write(std::move(response))) {
      co_return Cancelled("the client has gone");
    }
  }
}

class BlobService final : public v1::BlobService::CallbackService {
 public:
  explicit BlobService(const Environment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* FindMissing(grpc::CallbackServerContext* context,
                                        const v1::FindMissingRequest* request,
                                        v1::FindMissingResponse* response) override {
    return Unary(environment_, *context, "BlobService.FindMissing", transfers(),
                 wire::FromProto(*request), FindMissingOf, response,
                 [](const std::vector<BlobId>& missing, v1::FindMissingResponse& to) {
                   to = wire::MissingToProto(missing);
                 });
  }

  grpc::ServerUnaryReactor* QueryUpload(grpc::CallbackServerContext* context,
                                        const v1::QueryUploadRequest* request,
                                        v1::QueryUploadResponse* response) override {
    return Unary(environment_, *context, "BlobService.QueryUpload", transfers(),
                 wire::FromProto(request->blob()).Annotate("blob"), StateOfUpload, response,
                 [](const UploadState& state, v1::QueryUploadResponse& to) {
                   to.set_offset(state.offset);
                   to.set_complete(state.complete);
                 });
  }

  grpc::ServerReadReactor<v1::UploadRequest>* Upload(grpc::CallbackServerContext* context,
                                                     v1::UploadResponse* response) override {
    return Serve<UploadStream>(
        environment_, *context, "BlobService.Upload", transfers(),
        [&](UploadStream& stream) { return ReceiveBlob(stream, environment_, response); });
  }

  grpc::ServerWriteReactor<v1::DownloadResponse>* Download(
      grpc::CallbackServerContext* context, const v1::DownloadRequest* request) override {
    return Serve<DownloadStream>(
        environment_, *context, "BlobService.Download", transfers(), [&](DownloadStream& stream) {
          return SendBlob(stream, environment_, wire::FromProto(request->blob()).Annotate("blob"),
                          request->offset(), request->limit());
        });
  }

  grpc::ServerUnaryReactor* BatchUpload(grpc::CallbackServerContext* context,
                                        const v1::BatchUploadRequest* request,
                                        v1::BatchUploadResponse* response) override {
    return ServeUnary(
        environment_, *context, "BlobService.BatchUpload", transfers(),
        [&](Call& /*call*/) { return ReceiveBatch(environment_, request, response); });
  }

  grpc::ServerUnaryReactor* BatchDownload(grpc::CallbackServerContext* context,
                                          const v1::BatchDownloadRequest* request,
                                          v1::BatchDownloadResponse* response) override {
    return ServeUnary(environment_, *context, "BlobService.BatchDownload", transfers(),
                      [&](Call& /*call*/) { return SendBatch(environment_, request, response); });
  }

 private:
  /// Each call's own place on those threads: one thing at a time.
  boost::asio::any_io_executor transfers() const {
    return boost::asio::make_strand(environment_.transfers);
  }

  const Environment environment_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeBlobService(const Environment& environment) {
  return std::make_unique<BlobService>(environment);
}

}  // namespace tyllm::server::rpc
