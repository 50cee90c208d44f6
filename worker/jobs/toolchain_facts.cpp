// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/toolchain_facts.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/version.h"
#include "common/domain/task_options.h"
#include "common/domain/tools.h"
#include "worker/compile/system_compiler.h"
#include "worker/jobs/nvidia_gpus.h"
#include "worker/tensor/backend.h"
#include "worker/vision/video_file.h"

namespace tyllm::jobs {

namespace {

namespace fs = std::filesystem;

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

domain::Tool CompilerFor(std::string_view tool, std::string_view target_cpu) {
  const Result<compile::SystemCompiler> found = compile::FindCompiler("", target_cpu);
  return found.ok() ? domain::Tool{std::string(tool), found->id, ""}
                    : domain::Tool{std::string(tool), "", found.status().message()};
}

domain::Tool Vendor(const compile::VendorSettings& settings) {
  domain::Tool tool{.name = std::string(domain::kVendorTool), .version = "", .problem = ""};
  std::string scratch = (fs::temp_directory_path() / "tyllm-vendor-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) {
    tool.problem = FromErrno(errno, "making " + scratch).message();
    return tool;
  }
  const Result<compile::VendorRun> run = compile::ProbeVendor(LocalFileSystem(), settings, scratch);
  (run.ok() ? tool.version : tool.problem) = run.ok() ? run->version : run.status().message();
  std::error_code error;
  fs::remove_all(scratch, error);
  return tool;
}

std::vector<domain::Tool> FindTools(const compile::VendorSettings& vendor) {
  const bool video = vision::ReadsVideoFiles();
  return {CompilerFor(domain::kSimX86Tool, "x86-64"),
          CompilerFor(domain::kSimArmTool, "armv8-a"),
          Vendor(vendor),
          {.name = std::string(domain::kVideoTool),
           .version = video ? std::string(Version()) : "",
           .problem = video ? "" : "video files cannot be read: libtyllm_video.so"}};
}

}  // namespace

domain::ToolchainFacts DescribeToolchain(const compile::VendorSettings& vendor) {
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
  facts.tools = FindTools(vendor);
  return facts;
}

}  // namespace tyllm::jobs
