// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "server/app/config.h"

namespace tyllm::server::app {

/// Where the embedded worker is and whom it calls.
struct WorkerPlace {
  std::string server;  ///< an address of this server that needs no TLS, or is on this machine
  Path work;           ///< folder
};

/// The worker's command line. kNotFound when its program is not there.
Result<std::vector<std::string>> WorkerCommand(const ServerConfig& config,
                                               const WorkerPlace& place);

}  // namespace tyllm::server::app
