// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/toolchain_facts.h"

#include <fstream>
#include <string>

#include "common/base/version.h"
#include "common/domain/task_options.h"
#include "worker/jobs/nvidia_gpus.h"
#include "worker/tensor/backend.h"

namespace tyllm::jobs {

namespace {

// The text after the colon of the first line that starts with `key`.
std::string TextIn(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string::npos) {
      const std::size_t start = line.find_first_not_of(" \t", colon + 1);
      return start == std::string::npos ? "" : line.substr(start);
    }
  }
  return "";
}

domain::Device Cpu() {
  domain::Device cpu{.name = "cpu", .description = TextIn("/proc/cpuinfo", "model name")};
  const std::string kib = TextIn("/proc/meminfo", "MemTotal");
  cpu.memory_bytes = kib.empty() ? 0 : std::strtoll(kib.c_str(), nullptr, 10) * 1024;
  return cpu;
}

// The largest number that options may ask for.
std::int64_t MostDies() {
  domain::CompileOptions options;
  options.dies = 1;
  while (domain::Check(options).ok()) {
    ++options.dies;
  }
  return options.dies - 1;
}

}  // namespace

domain::ToolchainFacts DescribeToolchain() {
  domain::ToolchainFacts facts{
      .version = std::string(Version()), .dies = MostDies(), .devices = {Cpu()}};
  for (domain::Device& gpu : FindNvidiaGpus()) {
    facts.devices.push_back(std::move(gpu));
  }
  for (domain::Device& device : facts.devices) {
    const Status status = tensor::MakeBackend(device.name, 1).status();
    device.usable = status.ok();
    device.problem = status.message();
  }
  return facts;
}

}  // namespace tyllm::jobs
