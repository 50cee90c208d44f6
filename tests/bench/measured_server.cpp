// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measured_server.h"

#include <grpcpp/channel.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/format/json.h"
#include "common/wire/channel.h"
#include "tests/support/paths.h"

namespace tyllm::bench {

namespace {

constexpr int kPolls = 2400;  // of 50 ms: a large queue takes a while to open

}  // namespace

Result<std::unique_ptr<MeasuredServer>> MeasuredServer::Start(const std::filesystem::path& data,
                                                              std::vector<std::string> flags) {
  const std::string program = std::string(testing::kProgramFolder) + "/tyllm-server";
  CommandLine command{.argv = {program, "--data", data.string(), "--listen", "127.0.0.1:0",
                               "--http", "127.0.0.1:0", "--log-level", "error"}};
  command.argv.insert(command.argv.end(), flags.begin(), flags.end());
  command.descriptors = {{STDERR_FILENO, STDERR_FILENO}};
  TYLLM_ASSIGN(ChildProcess process, ChildProcess::Spawn(command));
  for (int i = 0; i < kPolls; ++i) {
    const auto json = format::ReadJsonFile(data / "server.json");
    if (json.ok() && (*json)["pid"] == process.pid()) {
      const std::string address = (*json)["grpc"];
      return std::unique_ptr<MeasuredServer>(new MeasuredServer(std::move(process), address));
    }
    TYLLM_ASSIGN(const auto ended, process.Poll());
    if (ended) {
      return Unavailable("the server ended: " + ended->ToString());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return DeadlineExceeded("the server does not listen");
}

std::shared_ptr<grpc::Channel> MeasuredServer::Connect() const {
  auto channel = wire::MakeChannel(address_, {});
  TYLLM_CHECK(channel.ok());
  return *std::move(channel);
}

Usage MeasuredServer::Read() const {
  const std::string folder = "/proc/" + std::to_string(process_.pid());
  std::ifstream stat(folder + "/stat");
  std::string text;
  std::getline(stat, text);
  // Fields after the name, which ends with the last ')': state is the third, utime the 14th.
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i) {
    fields >> skipped;
  }
  double user = 0;
  double system = 0;
  fields >> user >> system;
  Usage usage;
  usage.cpu_seconds = (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ifstream status(folder + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) {
      usage.resident_mib = std::stod(line.substr(6)) / 1024;
    }
  }
  return usage;
}

std::vector<double> MachineLoad() {
  std::vector<double> load(2);
  return ::getloadavg(load.data(), 2) == 2 ? load : std::vector<double>{};
}

}  // namespace tyllm::bench
