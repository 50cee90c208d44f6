// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <vector>

#include "common/base/pause.h"
#include "common/base/standard_descriptors.h"
#include "common/base/stop_signals.h"
#include "common/base/version.h"
#include "common/cli/command.h"
#include "common/config/flags.h"
#include "server/app/config.h"
#include "server/app/maintenance.h"
#include "server/app/patient_clock.h"
#include "server/app/server.h"

/// Where jemalloc is linked it reads this: memory in large pages where the kernel has them, since
/// the first touch of each page of a growing queue costs more than what is done with it
/// (docs/adr/0117-fewer-steps-a-claim.md). MALLOC_CONF overrides it.
extern "C" const char* malloc_conf;
const char* malloc_conf = "thp:always";

namespace tyllm::server::app {

namespace {

constexpr Milliseconds kTick{500};

/// The command line: a flag for each setting, and two of its own.
class CommandLineOptions {
 public:
  CommandLineOptions() : flags_(RowsOf(defaults_)) {}

  std::vector<cli::Option> Declare() {
    std::vector<cli::Option> options = {
        {"--config", "FILE", "TOML file of settings (or TYLLM_SERVER_CONFIG)", &file_},
        {"--print-config", "", "print the effective settings as TOML and end", &print_},
    };
    const std::vector<cli::Option> settings = flags_.Declare();
    options.insert(options.end(), settings.begin(), settings.end());
    return options;
  }

  config::Sources Sources() const { return {file_, FromEnvironment, flags_.Given()}; }

  bool print() const { return print_; }

 private:
  ServerConfig defaults_;
  std::string file_;
  bool print_ = false;
  config::Flags flags_;
};

Status Run(const CommandLineOptions& options, const std::stop_token& stop) {
  TYLLM_ASSIGN(const LoadedConfig loaded, LoadConfig(options.Sources()));
  if (options.print()) {
    std::cout << loaded.toml;
    return OkStatus();
  }
  const ServerConfig& config = loaded.config;
  telemetry::Log log({config.log_level, config.log_format}, SystemClock(), std::cerr);
  const PatientClock clock(SystemClock());
  TYLLM_ASSIGN(const auto server, Server::Start(config, {LocalFileSystem(), clock, log}));
  log.Info("listening", {{"grpc", server->grpc_address()}, {"http", server->http_address()}});
  std::cout << "listening grpc=" << server->grpc_address() << " http=" << server->http_address()
            << std::endl;
  while (PauseFor(kTick, stop)) {
    server->Tick();
  }
  log.Info("stopping");
  if (const Status stopped = server->Stop(); !stopped.ok()) {
    std::_Exit(static_cast<int>(cli::ReportError(stopped)));  // not past the threads that hang
  }
  log.Info("stopped");
  return OkStatus();
}

}  // namespace

}  // namespace tyllm::server::app

namespace {

using tyllm::server::app::kMaintenance;

// `tyllm-server backup ...`, and not a value of an option.
bool IsMaintenance(int argc, char** argv) {
  return argc > 1 && std::any_of(std::begin(kMaintenance), std::end(kMaintenance),
                                 [&](const auto& row) { return row.name == argv[1]; });
}

int RunMaintenance(const tyllm::cli::ProgramInfo& program, int argc, char** argv) {
  tyllm::server::app::NoContext context;
  const auto commands = tyllm::cli::Bind<tyllm::server::app::NoContext>(kMaintenance, context);
  return tyllm::cli::RunProgram(program, commands, {}, argc, argv);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tyllm;
  HoldStandardDescriptors();
  ::umask(S_IRWXG | S_IRWXO);  // what it writes is its own
  const cli::ProgramInfo program{"tyllm-server", "the front end and queue of a tyllm farm",
                                 Version()};
  if (IsMaintenance(argc, argv)) {
    return RunMaintenance(program, argc, argv);
  }
  const StopSignals signals;  // before any other thread
  server::app::CommandLineOptions options;
  cli::CommandSpec spec;
  spec.description =
      "Queues jobs, hands their tasks to workers, keeps models and results. Settings come from the"
      " file, the environment (TYLLM_SERVER_...) and flags, in rising precedence. Besides:"
      " tyllm-server backup|restore|fsck|compact|migrate --help.";
  spec.examples = {"tyllm-server --data /srv/tyllm --with-worker",
                   "tyllm-server --config /etc/tyllm/server.toml --print-config"};
  spec.options = options.Declare();
  spec.run = [&] {
    const Status status = server::app::Run(options, signals.token());
    return status.ok() ? cli::ExitCode::kOk : cli::ReportError(status);
  };
  return cli::RunProgram(program, spec, argc, argv);
}
