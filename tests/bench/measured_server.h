// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/child_process.h"
#include "common/base/result.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace tyllm::bench {

/// What a process has used.
struct Usage {
  double cpu_seconds = 0;
  double resident_mib = 0;
};

/// tyllm-server of this build as a process of its own, on a data folder that may be filled before.
class MeasuredServer {
 public:
  /// `flags` are added to its command line. The folder stays when it ends.
  static Result<std::unique_ptr<MeasuredServer>> Start(const std::filesystem::path& data,
                                                       std::vector<std::string> flags = {});

  /// Every call makes a connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const;

  Usage Read() const;

  pid_t pid() const { return process_.pid(); }

 private:
  MeasuredServer(ChildProcess process, std::string address)
      : process_(std::move(process)), address_(std::move(address)) {}

  ChildProcess process_;
  std::string address_;
};

/// Load averages of the machine: of one and five minutes.
std::vector<double> MachineLoad();

}  // namespace tyllm::bench
