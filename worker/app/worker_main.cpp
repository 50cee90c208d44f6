// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <array>
#include <iostream>
#include <memory>
#include <optional>

#include "common/base/stop_signals.h"
#include "common/base/version.h"
#include "common/cli/command.h"
#include "common/telemetry/log.h"
#include "common/wire/channel.h"
#include "worker/agent/agent.h"
#include "worker/app/config.h"
#include "worker/app/installed.h"
#include "worker/app/lifeline.h"

namespace tyllm::app {

namespace {

struct WorkerOptions {
  agent::AgentConfig agent;
  wire::Security security;
  std::int64_t slots = 1;
  std::vector<std::string> labels;
  std::optional<std::int64_t> lifeline_fd;
  telemetry::Log::Options log;
};

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "worker";
}

WorkerOptions Defaults() {
  WorkerOptions options;
  options.agent.server = EnvironmentVariable("TYLLM_SERVER");
  options.agent.name = EnvironmentVariable("TYLLM_WORKER_NAME");
  if (options.agent.name.empty()) {
    options.agent.name = HostName();
  }
  options.agent.work = EnvironmentVariable("TYLLM_WORKER_DIR");
  options.agent.toolchain = ProgramFolder() / "tyllm";
  options.agent.toolchain_version = Version();
  options.security.tls = {
      EnvironmentVariable("TYLLM_TLS_CA"),
      EnvironmentVariable("TYLLM_TLS_CERT"),
      EnvironmentVariable("TYLLM_TLS_KEY"),
  };
  return options;
}

std::vector<cli::Option> OptionsOf(WorkerOptions& options) {
  agent::AgentConfig& agent = options.agent;
  return {
      {"--server", "HOST:PORT", "the farm's server (or environment variable TYLLM_SERVER)",
       &agent.server},
      {"--name", "NAME", "this worker's name, unique in the farm (or TYLLM_WORKER_NAME)",
       &agent.name},
      {"--work", "DIR", "folder of its own for attempts and caches (or TYLLM_WORKER_DIR)",
       &agent.work},
      {"--slots", "N", "tasks at a time", &options.slots},
      {"--device", "NAME", "where jobs compute: auto, cpu or cuda:N", &agent.device},
      {"--cache-bytes", "BYTES", "input trees kept for later tasks", &agent.cache_bytes},
      {"--label", "NAME=VALUE", "a property of this worker; repeatable", &options.labels},
      {"--toolchain", "FILE", "the tyllm program that it runs", &agent.toolchain},
      {"--tls-ca", "FILE",
       "PEM file of the authority that vouches for the server (or TYLLM_TLS_CA)",
       &options.security.tls.ca},
      {"--tls-cert", "FILE", "PEM file of this worker's certificate (or TYLLM_TLS_CERT)",
       &options.security.tls.certificate},
      {"--tls-key", "FILE", "PEM file of its key (or TYLLM_TLS_KEY)", &options.security.tls.key},
      {"--insecure", "", "no encryption although the server is on another machine",
       &options.security.insecure},
      {"--lifeline-fd", "N", "end when the other end of this pipe is closed; for tyllm-server",
       &options.lifeline_fd},
      {"--log-format", "", "form of the log on standard error",
       cli::OneOf(telemetry::kLogFormatNames, &options.log.format)},
      {"--log-level", "", "least important lines of the log",
       cli::OneOf(telemetry::kLogLevelNames, &options.log.level)},
  };
}

Status Complete(WorkerOptions& options) {
  if (options.agent.server.empty()) {
    return InvalidArgument("no server is named; give --server HOST:PORT or set TYLLM_SERVER");
  }
  if (options.agent.work.empty()) {
    return InvalidArgument(
        "no folder to work in is named; give --work DIR or set TYLLM_WORKER_DIR");
  }
  if (options.slots < 1 || options.slots > 64) {
    return InvalidArgument("--slots is " + std::to_string(options.slots) + ", expected 1 to 64");
  }
  options.agent.slots = static_cast<std::int32_t>(options.slots);
  options.agent.work = std::filesystem::absolute(options.agent.work);
  for (const std::string& label : options.labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--label is '" + label + "', expected NAME=VALUE");
    }
    options.agent.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (::access(options.agent.toolchain.c_str(), X_OK) != 0) {
    return NotFound("the toolchain program " + options.agent.toolchain.string() +
                    " is not there or not executable; give --toolchain FILE");
  }
  return OkStatus();
}

Status Work(WorkerOptions& options, const std::stop_token& stop) {
  TYLLM_TRY(Complete(options));
  std::optional<Lifeline> lifeline;
  if (options.lifeline_fd) {
    lifeline.emplace(static_cast<int>(*options.lifeline_fd));
  }
  const std::string& server = options.agent.server;
  TYLLM_ASSIGN(const auto channel, wire::MakeChannel(server, options.security));
  TYLLM_ASSIGN(const auto blob_channel, wire::MakeChannel(server, options.security));
  telemetry::Log log(options.log, SystemClock(), std::cerr);
  log.Info("worker started", {{"name", options.agent.name}, {"server", server}});
  TYLLM_ASSIGN(const std::unique_ptr<agent::Agent> agent,
               agent::Agent::Create(options.agent, channel, blob_channel, SystemClock(), log));
  const Status status = agent->Run(stop);
  log.Info("worker stopped");
  return status;
}

}  // namespace

}  // namespace tyllm::app

int main(int argc, char** argv) {
  using namespace tyllm;
  const StopSignals signals;
  app::WorkerOptions options = app::Defaults();
  cli::CommandSpec spec;
  spec.description = "Asks a farm's server for tasks and runs them, until SIGTERM.";
  spec.options = app::OptionsOf(options);
  spec.run = [&] {
    const Status status = app::Work(options, signals.token());
    return status.ok() ? cli::ExitCode::kOk : cli::ReportError(status);
  };
  return cli::RunProgram({"tyllm-worker", "runs the tasks of a tyllm farm", Version()}, spec, argc,
                         argv);
}
