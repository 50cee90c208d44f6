// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <optional>
#include <stop_token>

#include "common/base/standard_descriptors.h"
#include "common/base/stop_signals.h"
#include "common/base/version.h"
#include "common/cli/command.h"
#include "common/config/flags.h"
#include "common/telemetry/log.h"
#include "common/wire/channel.h"
#include "worker/agent/agent.h"
#include "worker/app/config.h"
#include "worker/app/lifeline.h"
#include "worker/app/worker_config.h"

namespace tyllm::app {

namespace {

/// The command line: a flag for each setting, and three of its own.
class CommandLineOptions {
 public:
  CommandLineOptions() : flags_(RowsOf(defaults_)) {}

  std::vector<cli::Option> Declare() {
    std::vector<cli::Option> options = {
        {"--config", "FILE", "TOML file of settings (or TYLLM_WORKER_CONFIG)", &file_},
        {"--print-config", "", "print the effective settings as TOML and end", &print_},
        {"--lifeline-fd", "N", "end when the other end of this pipe is closed; for tyllm-server",
         &lifeline_fd_},
    };
    const std::vector<cli::Option> settings = flags_.Declare();
    options.insert(options.end(), settings.begin(), settings.end());
    return options;
  }

  config::Sources Sources() const { return {file_, OptionalEnvironmentVariable, flags_.Given()}; }

  bool print() const { return print_; }

  std::optional<std::int64_t> lifeline_fd() const { return lifeline_fd_; }

 private:
  WorkerConfig defaults_;
  std::string file_;
  bool print_ = false;
  std::optional<std::int64_t> lifeline_fd_;
  config::Flags flags_;
};

Status Work(const WorkerConfig& config, const std::stop_token& stop,
            const std::stop_token& orphaned) {
  if (!config.tytvm_command.empty()) {
    ::setenv(kVendorCommandVariable, config.tytvm_command.c_str(), 1);  // before any thread
  }
  TYLLM_ASSIGN(const agent::AgentConfig agent_config, AgentConfigOf(config));
  const wire::Security security = SecurityOf(config);
  TYLLM_ASSIGN(const auto channel, wire::MakeChannel(config.server, security));
  TYLLM_ASSIGN(const auto blob_channel, wire::MakeChannel(config.server, security));
  telemetry::Log log({config.log_level, config.log_format}, SystemClock(), std::cerr);
  TYLLM_ASSIGN(const std::unique_ptr<agent::Agent> agent,
               agent::Agent::Create(agent_config, channel, blob_channel, SystemClock(), log, stop));
  log.Info("worker started", {{"name", agent_config.name}, {"server", config.server}});
  const Status status = agent->Run(stop, orphaned);
  log.Info("worker stopped");
  return status;
}

Status Run(const CommandLineOptions& options, const std::stop_token& stop) {
  TYLLM_ASSIGN(const LoadedWorkerConfig loaded, LoadWorkerConfig(options.Sources()));
  if (options.print()) {
    std::cout << loaded.toml;
    return OkStatus();
  }
  std::stop_source ending;    // asked to, or orphaned
  std::stop_source orphaned;  // the server that started it is gone
  const std::stop_callback asked(stop, [&ending] { ending.request_stop(); });
  std::optional<Lifeline> lifeline;
  if (options.lifeline_fd()) {
    lifeline.emplace(Fd(static_cast<int>(*options.lifeline_fd())), [&ending, &orphaned] {
      orphaned.request_stop();
      ending.request_stop();
    });
  }
  return Work(loaded.config, ending.get_token(), orphaned.get_token());
}

}  // namespace

}  // namespace tyllm::app

int main(int argc, char** argv) {
  using namespace tyllm;
  HoldStandardDescriptors();
  const StopSignals signals;  // before any other thread
  app::CommandLineOptions options;
  cli::CommandSpec spec;
  spec.description =
      "Asks a farm's server for tasks and runs them, until SIGTERM. Settings come from the file, "
      "the"
      " environment (TYLLM_WORKER_...) and flags, in rising precedence.";
  spec.examples = {"tyllm-worker --server farm:7421 --work /var/lib/tyllm-worker",
                   "tyllm-worker --config /etc/tyllm/worker.toml --print-config"};
  spec.options = options.Declare();
  spec.run = [&] {
    const Status status = app::Run(options, signals.token());
    return status.ok() ? cli::ExitCode::kOk : cli::ReportError(status);
  };
  return cli::RunProgram({"tyllm-worker", "runs the tasks of a tyllm farm", Version()}, spec, argc,
                         argv);
}
