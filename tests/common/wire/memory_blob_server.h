// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/guarded.h"
#include "tyllm/v1/blobs.grpc.pb.h"

namespace tyllm::wire {

/// A BlobService that keeps what it gets, counts how it got it, and has the troubles that a test
/// wants.
class MemoryBlobServer final : public v1::BlobService::Service {
 public:
  struct Plan {
    bool knows_batches = true;
    /// Each way, of the first so many the answer is lost.
    int broken_batches = 0;
    /// Each way, the first so many move every second blob.
    int half_batches = 0;
    Milliseconds each_batch{0};  ///< what one takes
    std::string refused;         ///< content that is always told to be wrong
    bool lies = false;           ///< other bytes than were asked for are given
  };

  struct State {
    std::map<BlobId, std::string> blobs;
    int uploads = 0;  ///< batches
    int downloads = 0;
    int blobs_in_batches = 0;
    int alone = 0;  ///< calls for one blob
    int running = 0;
    int most_running = 0;
  };

  explicit MemoryBlobServer(Plan plan);
  ~MemoryBlobServer() override;

  MemoryBlobServer(const MemoryBlobServer&) = delete;
  MemoryBlobServer& operator=(const MemoryBlobServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  State state();

  grpc::Status FindMissing(grpc::ServerContext* context, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override;
  grpc::Status QueryUpload(grpc::ServerContext* context, const v1::QueryUploadRequest* request,
                           v1::QueryUploadResponse* response) override;
  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<v1::UploadRequest>* reader,
                      v1::UploadResponse* response) override;
  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override;
  grpc::Status BatchUpload(grpc::ServerContext* context, const v1::BatchUploadRequest* request,
                           v1::BatchUploadResponse* response) override;
  grpc::Status BatchDownload(grpc::ServerContext* context, const v1::BatchDownloadRequest* request,
                             v1::BatchDownloadResponse* response) override;

 private:
  /// Counts a batch of so many, which takes its time; its number among those of its way.
  int BeginBatch(grpc::ServerContext& context, int State::* way, int blobs);
  grpc::Status EndBatch(int number);

  const Plan plan_;
  Guarded<State> state_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace tyllm::wire
