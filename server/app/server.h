// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/telemetry/log.h"
#include "server/app/config.h"

namespace tyllm::server::app {

/// The whole server, put together: the data folder's lock, the stores, the farm, the control
/// thread, gRPC, HTTP and, if wanted, a worker (docs/adr/0021-server-threads.md). Use from one
/// thread.
class Server {
 public:
  /// What it needs from outside; outlives it.
  struct Surroundings {
    FileSystem& files;
    const Clock& clock;  ///< by which jobs, leases and files age
    telemetry::Log& log;
    const Clock& machine = SystemClock();  ///< by which backups and certificates do
  };

  /// Takes up what an earlier server left and begins to serve.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config,
                                               const Surroundings& surroundings);
  ~Server();

  /// "HOST:PORT" with the ports that it got.
  const std::string& grpc_address() const;
  const std::string& http_address() const;

  /// To be called about once a second: health, the worker, housekeeping.
  void Tick();

  /// Stops the worker, ends calls and streams, finishes what the stores have begun. Idempotent.
  /// kDeadlineExceeded when calls hang on the disk: the queue is complete, but threads are left
  /// behind, so that the process must end without taking anything else down.
  Status Stop();

 private:
  class Assembly;
  explicit Server(std::unique_ptr<Assembly> assembly);
  std::unique_ptr<Assembly> assembly_;
};

}  // namespace tyllm::server::app
