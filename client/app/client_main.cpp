// SPDX-License-Identifier: Apache-2.0
#include <span>

#include "client/app/config.h"
#include "client/cli/commands.h"
#include "common/base/standard_descriptors.h"
#include "common/base/stop_signals.h"
#include "common/base/version.h"
#include "common/cli/command.h"

int main(int argc, char** argv) {
  using namespace tyllm;
  HoldStandardDescriptors();
  const StopSignals signals;
  client::Session session(client::AddressFromEnvironment(), SystemClock(), signals.token());
  const auto commands = cli::Bind<client::Session>(client::kCommands, session);
  const auto global = session.GlobalOptions();
  return cli::RunProgram(
      {"tyllm-client", "submits models to a tyllm farm and fetches what it makes of them",
       Version()},
      commands, global, argc, argv);
}
