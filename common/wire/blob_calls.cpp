// SPDX-License-Identifier: Apache-2.0
#include "common/wire/blob_calls.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/handle.h"
#include "common/wire/blobs.h"
#include "common/wire/deadline.h"
#include "common/wire/status.h"

namespace tyllm::wire {

namespace {

constexpr std::uint64_t kMessageBytes = 512 << 10;
constexpr std::size_t kIdsPerCall = 2000;  // about 150 KB a request
constexpr std::chrono::seconds kUnaryLimit{30};

// Cancels the call when a stop is requested, as long as this lives.
class CancelOnStop {
 public:
  CancelOnStop(grpc::ClientContext& context, std::stop_token stop)
      : callback_(std::move(stop), [&context] { context.TryCancel(); }) {}

 private:
  std::stop_callback<std::function<void()>> callback_;
};

// Of an answer that is no call's. An error that says OK would be taken for a blob that is there.
Status ErrorOf(const google::rpc::Status& error) {
  const auto code = static_cast<grpc::StatusCode>(error.code());
  return FromGrpc(
      {code == grpc::OK ? grpc::UNKNOWN : code, error.message(), error.SerializeAsString()});
}

Result<Fd> OpenToRead(const Path& file) {
  Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return FromErrno(errno, "opening " + file.string());
  }
  return fd;
}

Result<std::string> ReadPiece(int fd, const Path& file, std::uint64_t offset, std::uint64_t size) {
  std::string piece(size, '\0');
  std::size_t filled = 0;
  while (filled < piece.size()) {
    const ssize_t got = ::pread(fd, piece.data() + filled, piece.size() - filled,
                                static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return got < 0 ? FromErrno(errno, "reading " + file.string())
                     : DataLoss(file.string() + " became shorter while it was sent; try again");
    }
    filled += static_cast<std::size_t>(got);
  }
  return piece;
}

// An answer for each blob that was asked for, or it is none.
template <typename T>
Result<std::vector<T>> Fitting(std::vector<T> answers, std::size_t expected) {
  if (answers.size() != expected) {
    return Internal("the server answered " + std::to_string(answers.size()) +
                    " blobs of a batch of " + std::to_string(expected));
  }
  return answers;
}

}  // namespace

BlobTransfer::Calls::Calls(const std::shared_ptr<grpc::Channel>& channel, Sender sender)
    : stub_(v1::BlobService::NewStub(channel)), sender_(sender) {}

Result<std::vector<BlobId>> BlobTransfer::Calls::FindMissing(std::span<const BlobId> blobs,
                                                             std::stop_token stop) {
  std::vector<BlobId> missing;
  while (!blobs.empty()) {
    grpc::ClientContext context;
    context.set_deadline(DeadlineIn(kUnaryLimit));
    const CancelOnStop cancel(context, stop);
    const auto part = blobs.first(std::min(blobs.size(), kIdsPerCall));
    blobs = blobs.subspan(part.size());
    v1::FindMissingResponse response;
    TYLLM_TRY(FromGrpc(stub_->FindMissing(&context, FindMissingToProto(part), &response)));
    TYLLM_ASSIGN(const std::vector<BlobId> found, FromProto(response));
    missing.insert(missing.end(), found.begin(), found.end());
  }
  return missing;
}

Result<std::uint64_t> BlobTransfer::Calls::UploadOffset(const BlobId& blob, std::stop_token stop) {
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(kUnaryLimit));
  const CancelOnStop cancel(context, std::move(stop));
  v1::QueryUploadRequest request;
  *request.mutable_blob() = ToProto(blob);
  v1::QueryUploadResponse response;
  TYLLM_TRY(FromGrpc(stub_->QueryUpload(&context, request, &response)));
  return response.complete() ? blob.size : response.offset();
}

Status BlobTransfer::Calls::Send(const BlobId& blob, std::uint64_t offset, const Source& source,
                                 const Sent& sent, std::stop_token stop) {
  grpc::ClientContext context;
  const CancelOnStop cancel(context, std::move(stop));
  v1::UploadResponse response;
  const auto stream = stub_->Upload(&context, &response);
  v1::UploadRequest request;
  *request.mutable_blob() = ToProto(blob);
  request.set_offset(offset);
  request.set_of_attempt(sender_ == Sender::kAttempt);
  bool open = stream->Write(request);
  request.Clear();
  while (open && offset < blob.size) {
    Result<std::string> piece = source(offset);
    if (!piece.ok()) {
      context.TryCancel();
      (void)stream->Finish();
      return piece.status();
    }
    const std::uint64_t bytes = piece->size();
    request.set_data(*std::move(piece));
    open = stream->Write(request);
    offset += bytes;
    if (open) {
      sent(offset);
    }
  }
  stream->WritesDone();
  return FromGrpc(stream->Finish());
}

Status BlobTransfer::Calls::SendRest(const BlobId& blob, std::uint64_t offset, const Source& source,
                                     const Sent& sent, std::stop_token stop) {
  Status status = Send(blob, offset, source, sent, stop);
  const std::optional<std::int64_t> there = status.NumberOf("offset");
  if (status.code() != StatusCode::kOutOfRange || !there || *there < 0 ||
      static_cast<std::uint64_t>(*there) > blob.size) {
    return status;
  }
  return Send(blob, static_cast<std::uint64_t>(*there), source, sent, std::move(stop));
}

Result<std::string> BlobTransfer::Calls::ReadSmall(const BlobId& blob, const Path& file) {
  TYLLM_ASSIGN(const Fd fd, OpenToRead(file));
  return ReadPiece(fd.get(), file, 0, blob.size);
}

Status BlobTransfer::Calls::Upload(const BlobId& blob, const Path& file, const Begins& begins,
                                   const Sent& sent, std::stop_token stop) {
  TYLLM_ASSIGN(const Fd fd, OpenToRead(file));
  TYLLM_ASSIGN(const std::uint64_t offset, UploadOffset(blob, stop));
  TYLLM_TRY(begins(offset));
  const Source source = [&](std::uint64_t at) {
    return ReadPiece(fd.get(), file, at, std::min(kMessageBytes, blob.size - at));
  };
  return SendRest(blob, offset, source, sent, std::move(stop)).Annotate("sending " + file.string());
}

Status BlobTransfer::Calls::Upload(const BlobId& blob, std::string_view bytes,
                                   std::stop_token stop) {
  const Source source = [&](std::uint64_t at) -> Result<std::string> {
    return std::string(bytes.substr(at, kMessageBytes));
  };
  TYLLM_ASSIGN(const std::uint64_t offset, UploadOffset(blob, stop));
  return SendRest(blob, offset, source, [](std::uint64_t) {}, std::move(stop));
}

Status BlobTransfer::Calls::Download(const BlobId& blob, std::uint64_t offset,
                                     const std::function<Status(std::span<const std::byte>)>& sink,
                                     std::stop_token stop) {
  grpc::ClientContext context;
  const CancelOnStop cancel(context, std::move(stop));
  v1::DownloadRequest request;
  *request.mutable_blob() = ToProto(blob);
  request.set_offset(offset);
  const auto stream = stub_->Download(&context, request);
  v1::DownloadResponse response;
  while (stream->Read(&response)) {
    const Status status = sink(std::as_bytes(std::span(response.data())));
    if (!status.ok()) {
      context.TryCancel();
      (void)stream->Finish();
      return status;
    }
  }
  return FromGrpc(stream->Finish());
}

// A method that is not there is told by gRPC.
Status BlobTransfer::Calls::NoteMethod(const Status& status) {
  if (status.code() == StatusCode::kUnimplemented) {
    has_batches_ = false;
  }
  return status;
}

Status BlobTransfer::Calls::CheckBatches() const {
  return has_batches_ ? OkStatus() : Unimplemented("the server takes and gives blobs one by one");
}

Result<std::vector<Status>> BlobTransfer::Calls::BatchUpload(std::span<const Content> blobs,
                                                             std::stop_token stop) {
  TYLLM_TRY(CheckBatches());
  v1::BatchUploadRequest request;
  request.set_of_attempt(sender_ == Sender::kAttempt);
  for (const Content& blob : blobs) {
    v1::BlobContent& content = *request.add_blobs();
    *content.mutable_blob() = ToProto(blob.blob);
    content.set_data(blob.bytes);
  }
  grpc::ClientContext context;
  const CancelOnStop cancel(context, std::move(stop));
  v1::BatchUploadResponse response;
  TYLLM_TRY(NoteMethod(FromGrpc(stub_->BatchUpload(&context, request, &response))));
  std::vector<Status> ended;
  for (const v1::UploadedBlob& one : response.blobs()) {
    ended.push_back(one.has_error() ? ErrorOf(one.error()) : OkStatus());
  }
  return Fitting(std::move(ended), blobs.size());
}

Result<std::vector<Result<std::string>>> BlobTransfer::Calls::BatchDownload(
    std::span<const BlobId> blobs, std::stop_token stop) {
  TYLLM_TRY(CheckBatches());
  v1::BatchDownloadRequest request;
  for (const BlobId& blob : blobs) {
    *request.add_blobs() = ToProto(blob);
  }
  grpc::ClientContext context;
  const CancelOnStop cancel(context, std::move(stop));
  v1::BatchDownloadResponse response;
  TYLLM_TRY(NoteMethod(FromGrpc(stub_->BatchDownload(&context, request, &response))));
  std::vector<Result<std::string>> came;
  for (v1::DownloadedBlob& one : *response.mutable_blobs()) {
    if (one.has_error()) {
      came.emplace_back(ErrorOf(one.error()));
    } else {
      came.emplace_back(std::move(*one.mutable_data()));
    }
  }
  TYLLM_ASSIGN(came, Fitting(std::move(came), blobs.size()));
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    if (came[i].ok() && BlobId{DigestOf(*came[i]), came[i]->size()} != blobs[i]) {
      came[i] = DataLoss("what came is not blob " + blobs[i].ToString() + "; fetch it again");
    }
  }
  return came;
}

/// What is in a file that was fetched.
struct BlobTransfer::Calls::Part {
  bool resumed = false;  ///< some of it was there before
  BlobId content;
};

Result<BlobTransfer::Calls::Part> BlobTransfer::Calls::DownloadRest(
    const BlobId& blob, const Path& part, const std::function<void(std::uint64_t)>& came,
    std::stop_token stop) {
  FileSystem& files = LocalFileSystem();
  std::error_code error;
  const std::uint64_t before = std::filesystem::file_size(part, error);
  if (!error && before > blob.size) {
    TYLLM_TRY(files.RemoveAll(part));
  }
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files.OpenForUpdate(part));
  Sha256Stream digest;
  TYLLM_ASSIGN(std::uint64_t size, AddFile(part, digest, stop));
  const bool resumed = size > 0;
  const auto write = [&](std::span<const std::byte> bytes) -> Status {
    TYLLM_TRY(file->WriteAt(size, bytes));
    digest.Update(bytes);
    size += bytes.size();
    came(size);
    return OkStatus();
  };
  TYLLM_TRY(Download(blob, size, write, std::move(stop)));
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  // What was digested is all that has the name.
  const std::uint64_t there = std::filesystem::file_size(part, error);
  if (error || there != size) {
    return Aborted(part.string() + " was changed by somebody else while it was fetched, from " +
                   std::to_string(size) + " bytes; fetch it again when nobody writes there");
  }
  return Part{resumed, {digest.Finish(), size}};
}

Status BlobTransfer::Calls::DownloadFile(const BlobId& blob, const Path& target,
                                         const std::function<void(std::uint64_t)>& came,
                                         std::stop_token stop) {
  FileSystem& files = LocalFileSystem();
  Path part = target;
  part += ".part";
  while (true) {
    TYLLM_ASSIGN(const Part got, DownloadRest(blob, part, came, stop));
    if (got.content == blob) {
      return files.Rename(part, target);
    }
    TYLLM_TRY(files.RemoveAll(part));
    if (!got.resumed) {
      return DataLoss("what came for " + target.string() + " is not blob " + blob.ToString() +
                      "; fetch it again");
    }
    // What was there before may be of something else, or a disk lost a piece of it: all anew.
  }
}

}  // namespace tyllm::wire
