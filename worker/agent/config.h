// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/job.h"

namespace tyllm::agent {

/// What a worker is and where it works. Filled by worker/app from file, environment and flags.
struct AgentConfig {
  std::string server;  ///< HOST:PORT
  std::string name;    ///< unique in the farm
  Path work;           ///< folder of its own: attempts, cached trees, compiled objects
  Path blobs;          ///< of a server on this machine; empty: its blobs are fetched
  Path toolchain;      ///< the `tyllm` program that it runs
  std::string device = "auto";
  std::int32_t slots = 1;                    ///< tasks at a time
  std::int64_t memory_bytes = 0;             ///< that it offers; 0: what the machine has
  std::int64_t dies = 0;                     ///< most of an artifact; 0: as the toolchain says
  std::vector<domain::TaskKind> kinds;       ///< that it takes; empty: all
  std::int64_t cache_bytes = 50LL << 30;     ///< input trees kept for later tasks
  std::int64_t job_log_bytes = 256LL << 20;  ///< of an attempt's log
  std::map<std::string, std::string> labels;
  Milliseconds grace{10'000};       ///< for a job to end by itself when it is stopped
  Milliseconds farewell{30'000};    ///< for a worker that is stopped to hand back its work, in all
  Milliseconds patience{120'000};   ///< for a transfer in which nothing moves
  Milliseconds checkpoint{60'000};  ///< between uploads of unfinished work
};

}  // namespace tyllm::agent
