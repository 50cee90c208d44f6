// SPDX-License-Identifier: Apache-2.0
#include "server/app/worker_command.h"

#include <unistd.h>

#include <array>
#include <system_error>

#include "common/wire/channel.h"

namespace tyllm::server::app {

namespace {

Path ProgramOf(const ServerConfig& config) {
  if (!config.worker_program.empty()) {
    return config.worker_program;
  }
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "tyllm-worker";
}

std::string NameOfWorker() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) {
    return "embedded";
  }
  return std::string(host.data()) + "-embedded";
}

}  // namespace

Result<std::vector<std::string>> WorkerCommand(const ServerConfig& config,
                                               const WorkerPlace& place) {
  const Path program = ProgramOf(config);
  if (::access(program.c_str(), X_OK) != 0) {
    return NotFound("the worker's program " + program.string() +
                    " is not there or not executable; install it, or name it with worker.program");
  }
  std::vector<std::string> command = {
      program.string(),
      "--server",
      place.server,
      "--work",
      place.work.string(),
      "--name",
      NameOfWorker(),
      "--slots",
      std::to_string(config.worker_slots),
      "--log-format",
      std::string(telemetry::kLogFormatNames.Name(config.log_format)),
      "--log-level",
      std::string(telemetry::kLogLevelNames.Name(config.log_level)),
  };
  if (!wire::IsLoopback(place.server)) {
    command.emplace_back("--insecure");  // as the server itself; it is this machine's own address
  }
  return command;
}

}  // namespace tyllm::server::app
