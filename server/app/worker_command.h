// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "server/app/config.h"

namespace tyllm::server::app {

/// Where the embedded worker is and whom it calls.
struct WorkerPlace {
  std::string server;  ///< an address of this server that needs no TLS, or is on this machine
  Path work;           ///< folder
  Path blobs;          ///< the server's, to read and to share files with
};

/// How long the embedded worker takes at most to hand back its work when it is stopped, which it is
/// told, and for how long it is waited for.
inline constexpr std::chrono::seconds kWorkerFarewell{20};
inline constexpr std::chrono::seconds kWorkerStopLimit{25};

/// The worker's name on a machine of this name: 64 characters at most, which is what a server
/// takes; of a longer one a part and a digest.
std::string EmbeddedName(const std::string& host);

/// The worker's command line. kNotFound when its program is not there.
Result<std::vector<std::string>> WorkerCommand(const ServerConfig& config,
                                               const WorkerPlace& place);

}  // namespace tyllm::server::app
