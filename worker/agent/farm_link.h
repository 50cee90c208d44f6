// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/domain/worker_sync.h"

namespace grpc {
class Channel;
}

namespace tyllm::agent {

/// The calls of WorkerService, blocking. Threads: any. A stop request ends a call with kCancelled.
class FarmLink {
 public:
  explicit FarmLink(std::shared_ptr<grpc::Channel> channel);
  ~FarmLink();

  Result<domain::SyncReply> Sync(const domain::SyncRequest& request, Milliseconds limit,
                                 const std::stop_token& stop);
  /// Looks again for a server that was not there; half a second at most.
  void ConnectAtOnce();
  /// Bytes of the log that the server has.
  Result<std::int64_t> AppendLog(const domain::LogAppend& append, const std::stop_token& stop);

 private:
  struct Stubs;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace tyllm::agent
