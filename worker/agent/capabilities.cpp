// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/capabilities.h"

#include <algorithm>

#include "worker/agent/machine.h"

namespace tyllm::agent {

namespace {

void AddGpus(const std::vector<domain::Device>& devices, domain::Capabilities& is) {
  for (const domain::Device& device : devices) {
    const std::string kind = device.name.substr(0, device.name.find(':'));
    if (kind == "cpu") {
      continue;
    }
    is.device = kind;
    ++is.gpus;
    if (is.gpu.empty() || device.memory_bytes > is.gpu_memory_bytes) {
      is.gpu = device.description;
      is.gpu_memory_bytes = device.memory_bytes;
    }
  }
}

}  // namespace

domain::Capabilities DescribeWorker(const AgentConfig& config, const domain::ToolchainFacts& facts,
                                    const std::vector<domain::Device>& devices) {
  domain::Capabilities is;
  is.device = "cpu";
  AddGpus(devices, is);
  is.memory_bytes = config.memory_bytes > 0 ? config.memory_bytes : MemoryBytes();
  is.disk_free_bytes = FreeDisk(config);
  is.cpus = Cpus();
  is.slots = config.slots;
  is.toolchain_version = facts.version;
  is.labels = config.labels;
  is.dies = static_cast<std::int32_t>(config.dies > 0 ? config.dies : facts.dies);
  is.kinds = config.kinds;
  is.cache_bytes = config.cache_bytes;
  is.tools = ToolsOf(facts);
  return is;
}

std::map<std::string, std::string> ToolsOf(const domain::ToolchainFacts& facts) {
  std::map<std::string, std::string> tools;
  for (const domain::Tool& tool : facts.tools) {
    if (!tool.version.empty()) {
      tools[tool.name] = tool.version;
    }
  }
  return tools;
}

std::int64_t FreeDisk(const AgentConfig& config) {
  const auto free = LocalFileSystem().FreeBytes(config.work);
  return free.ok() ? static_cast<std::int64_t>(*free) : 0;
}

}  // namespace tyllm::agent
