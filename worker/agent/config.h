// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/clock.h"
#include "common/base/file_system.h"

namespace tyllm::agent {

/// What a worker is and where it works. Filled by worker/app from file, environment and flags.
struct AgentConfig {
  std::string server;  ///< HOST:PORT
  std::string name;    ///< unique in the farm
  Path work;           ///< folder of its own: attempts, cached trees, compiled objects
  Path toolchain;      ///< the `tyllm` program that it runs
  std::string toolchain_version;
  std::string device = "auto";
  std::int32_t slots = 1;                 ///< tasks at a time
  std::int64_t cache_bytes = 50LL << 30;  ///< input trees kept for later tasks
  std::map<std::string, std::string> labels;
  Milliseconds grace{10'000};      ///< for a job to end by itself when it is stopped
  Milliseconds patience{120'000};  ///< for a transfer in which nothing moves
};

}  // namespace tyllm::agent
