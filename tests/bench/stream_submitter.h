// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::bench {

using Requests = std::vector<v1::SubmitJobRequest>;

/// Ends the program with a message when a call failed: what it would measure is nothing.
void CheckOk(const grpc::Status& status);

/// Submits jobs over one SubmitJobs: so many are unanswered at a time, and what is answered by one
/// message is followed by one message of as many.
class StreamSubmitter {
 public:
  StreamSubmitter(const std::shared_ptr<grpc::Channel>& channel, Requests requests)
      : stub_(v1::JobService::NewStub(channel)), left_(std::move(requests)) {}

  /// Returns when all are answered.
  void Run(int in_flight);

 private:
  struct Event {};

  const void* Next();
  void Await(const Event& event);
  /// Asks for so many more, as soon as the message before is on its way.
  void Put(int more);
  void End();

  std::unique_ptr<v1::JobService::Stub> stub_;
  Requests left_;
  std::int64_t unanswered_ = static_cast<std::int64_t>(left_.size());
  grpc::ClientContext context_;
  grpc::CompletionQueue events_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::SubmitJobsRequest, v1::SubmitJobsResponse>>
      stream_;
  v1::SubmitJobsRequest waiting_;
  v1::SubmitJobsResponse answers_;
  bool writing_ = false;
  Event started_;
  Event read_;
  Event written_;
  Event finished_;
};

}  // namespace tyllm::bench
