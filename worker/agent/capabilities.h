// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/domain/devices.h"
#include "common/domain/worker_sync.h"
#include "worker/agent/config.h"

namespace tyllm::agent {

/// What this worker tells the server of itself.
domain::Capabilities DescribeWorker(const AgentConfig& config, const domain::ToolchainFacts& facts,
                                    const std::vector<domain::Device>& devices);

/// Those that are here, with versions, as Capabilities has them.
std::map<std::string, std::string> ToolsOf(const domain::ToolchainFacts& facts);

/// Bytes that are free where the worker works; 0 when that cannot be told.
std::int64_t FreeDisk(const AgentConfig& config);

}  // namespace tyllm::agent
