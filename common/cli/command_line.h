// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/cli/command.h"

namespace tyllm::cli {

/// A command with its options, as the parser needs it.
struct DeclaredCommand {
  std::vector<std::string> words;  ///< {"submit", "quantize"}; none for a program without commands
  const Command* row = nullptr;    ///< nullptr for a program without commands
  CommandSpec spec;
};

/// What stands on a command line, before any value is understood.
struct ParsedLine {
  std::vector<std::string> words;                       ///< command words that were recognised
  const DeclaredCommand* command = nullptr;             ///< nullptr: no whole command was named
  std::vector<std::vector<std::string>> values;         ///< one list an option of the command
  std::vector<std::vector<std::string>> global_values;  ///< one list a global option
  std::vector<std::string> unknown;                     ///< arguments that nothing takes, in order
  bool help = false;
  bool version = false;
};

/// The only place that knows CLI11. Errors: an option without its value.
Result<ParsedLine> ParseLine(std::span<const DeclaredCommand> commands,
                             std::span<const Option> global, int argc, const char* const* argv);

}  // namespace tyllm::cli
