// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/wire/blob_transfer.h"
#include "tyllm/v1/blobs.grpc.pb.h"

namespace tyllm::wire {

/// The calls of BlobService, one attempt each, cancelled by a stop request. Threads: any.
class BlobTransfer::Calls {
 public:
  /// Bytes of the blob that the server has, before the first is sent; an error ends the call.
  using Begins = std::function<Status(std::uint64_t)>;
  /// Bytes of the blob that were sent, those that the server had included.
  using Sent = std::function<void(std::uint64_t)>;

  Calls(const std::shared_ptr<grpc::Channel>& channel, Sender sender);

  Result<std::vector<BlobId>> FindMissing(std::span<const BlobId> blobs, std::stop_token stop);
  /// Sends a file from where the server stopped.
  Status Upload(const BlobId& blob, const Path& file, const Begins& begins, const Sent& sent,
                std::stop_token stop);
  /// Sends bytes that are in memory.
  Status Upload(const BlobId& blob, std::string_view bytes, std::stop_token stop);
  /// Fetches a blob to `target` by way of "<target>.part", going on where an earlier call stopped.
  /// `came` gets the bytes of the file so far. Wrong bytes are kDataLoss and leave nothing; where
  /// some were there before, all are fetched anew first. One call at a time a target.
  Status DownloadFile(const BlobId& blob, const Path& target,
                      const std::function<void(std::uint64_t)>& came, std::stop_token stop);

  struct Content {
    BlobId blob;
    std::string bytes;
  };

  /// A file that is to be such a blob. kDataLoss when it is shorter.
  static Result<std::string> ReadSmall(const BlobId& blob, const Path& file);

  /// Sends blobs together, at most what wire/limits.h has room for; what each ended with, in their
  /// order. kUnimplemented by a server that does not know it, and from then on without asking.
  Result<std::vector<Status>> BatchUpload(std::span<const Content> blobs, std::stop_token stop);
  /// Likewise; the right bytes of each, or an error.
  Result<std::vector<Result<std::string>>> BatchDownload(std::span<const BlobId> blobs,
                                                         std::stop_token stop);
  /// Gives the blob's bytes from `offset` on to `sink` as they come.
  Status Download(const BlobId& blob, std::uint64_t offset,
                  const std::function<Status(std::span<const std::byte>)>& sink,
                  std::stop_token stop);

 private:
  struct Part;
  Status NoteMethod(const Status& status);
  Status CheckBatches() const;
  /// Adds to `part` what the blob has and it lacks.
  Result<Part> DownloadRest(const BlobId& blob, const Path& part,
                            const std::function<void(std::uint64_t)>& came, std::stop_token stop);
  using Source = std::function<Result<std::string>(std::uint64_t offset)>;
  Result<std::uint64_t> UploadOffset(const BlobId& blob, std::stop_token stop);
  Status Send(const BlobId& blob, std::uint64_t offset, const Source& source, const Sent& sent,
              std::stop_token stop);
  /// Send, and once more from where the server has got to meanwhile: somebody else sends it, too.
  Status SendRest(const BlobId& blob, std::uint64_t offset, const Source& source, const Sent& sent,
                  std::stop_token stop);

  std::unique_ptr<v1::BlobService::Stub> stub_;
  const Sender sender_;
  std::atomic<bool> has_batches_ = true;
};

}  // namespace tyllm::wire
