// SPDX-License-Identifier: Apache-2.0
#include "common/base/standard_descriptors.h"
#include "common/base/version.h"
#include "worker/app/commands/commands.h"

int main(int argc, char** argv) {
  using namespace tyllm;
  HoldStandardDescriptors();
  app::Invocation invocation(SystemClock());
  const std::vector<cli::Command> commands = cli::Bind<app::Invocation>(app::kCommands, invocation);
  const std::vector<cli::Option> global = invocation.GlobalOptions();
  const cli::ProgramInfo program{
      "tyllm", "quantizes, evaluates, compiles and runs language models for multi-die NPUs",
      Version()};
  return cli::RunProgram(program, commands, global, argc, argv);
}
