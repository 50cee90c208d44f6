// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/worker_sync.h"
#include "worker/agent/farm_link.h"

namespace tyllm::agent {

/// Sends a growing log file to the server, by offset, so that no byte is lost or doubled by a
/// broken connection. Used by one thread.
class LogShipper {
 public:
  LogShipper(FarmLink& link, domain::WorkerSession from, domain::AttemptId attempt, Path log);

  /// Sends what is there now; kAborted when the attempt is fenced, kUnavailable when the server
  /// does not answer (call again).
  Status Ship(const std::stop_token& stop);

  /// Bytes that the server has.
  std::int64_t shipped() const { return shipped_; }

 private:
  FarmLink& link_;
  domain::WorkerSession from_;
  domain::AttemptId attempt_;
  Path log_;
  std::int64_t shipped_ = 0;
};

/// Size of a log file, 0 when there is none yet.
std::int64_t LogBytes(const Path& log);

}  // namespace tyllm::agent
