// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/blobs.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::testing {

/// Calls of people and workers, one attempt each, given up after `limit`: what the network and the
/// server do in between is the test's business.
class FarmClient {
 public:
  FarmClient(const std::string& address, std::chrono::milliseconds limit);

  Result<v1::Job> Submit(const v1::SubmitJobRequest& request);
  Result<v1::Job> Cancel(const std::string& job);
  Result<v1::Job> Update(const v1::UpdateJobRequest& request);
  Result<v1::Job> Retry(const v1::RetryJobRequest& request);
  Status Delete(const v1::DeleteJobRequest& request);
  Result<v1::Job> Get(const std::string& job);
  /// Newest first, without tasks: all of them, page by page.
  Result<std::vector<v1::Job>> List();
  /// Bytes of an attempt's log from `offset` on.
  Result<std::string> ReadLog(const std::string& task, int attempt, std::int64_t offset = 0);
  Result<std::vector<v1::Worker>> Workers();

  Status Upload(const std::string& content);
  Result<std::string> Download(const v1::BlobId& blob);

  Result<v1::SyncResponse> Sync(const v1::SyncRequest& request);
  /// The size that the server says that it has.
  Result<std::int64_t> AppendLog(const v1::AppendLogRequest& request);

 private:
  struct Context;

  const std::chrono::milliseconds limit_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

/// Name of a blob of these bytes.
v1::BlobId BlobIdOf(const std::string& content);

}  // namespace tyllm::testing
