// SPDX-License-Identifier: Apache-2.0
#include "server/app/worker_command.h"

#include <unistd.h>

#include <array>
#include <system_error>

#include "common/base/digest.h"
#include "common/wire/channel.h"

namespace tyllm::server::app {

namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::size_t kDigestDigits = 8;

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
  return EmbeddedName(host.data());
}

}  // namespace

std::string EmbeddedName(const std::string& host) {
  const std::string suffix = "-embedded";
  if (host.size() + suffix.size() <= kLongestName) {
    return host + suffix;
  }
  const std::string digest = "-" + DigestOf(host).Hex().substr(0, kDigestDigits);
  return host.substr(0, kLongestName - digest.size() - suffix.size()) + digest + suffix;
}

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
      "--blobs",
      place.blobs.string(),
      "--name",
      NameOfWorker(),
      "--slots",
      std::to_string(config.worker_slots),
      "--stop-seconds",
      std::to_string(kWorkerFarewell.count()),
      "--log-format",
      std::string(telemetry::kLogFormatNames.Name(config.log_format)),
      "--log-level",
      std::string(telemetry::kLogLevelNames.Name(config.log_level)),
  };
  // What the server's environment says of TLS is for other workers: this address has none.
  for (const char* const option : {"--tls-ca", "--tls-cert", "--tls-key"}) {
    command.insert(command.end(), {option, ""});
  }
  if (!wire::IsLoopback(place.server)) {
    command.emplace_back("--insecure");  // as the server itself; it is this machine's own address
  }
  return command;
}

}  // namespace tyllm::server::app
