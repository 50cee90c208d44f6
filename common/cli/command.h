// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/status.h"

namespace tyllm::cli {

/// What the shell is told. The same numbers for every program; documented in
/// docs/manual/exit-codes.md.
enum class ExitCode : std::uint8_t {
  kOk = 0,
  kFailed = 1,        ///< the work was tried and failed
  kBadArguments = 2,  ///< unknown option, bad value, a combination that cannot be
  kNotFound = 3,      ///< a file, model, job or artifact that was named is not there
  kUnreachable = 4,   ///< the server does not answer
  kJobFailed = 5,     ///< the job ended in failure (client, with --wait)
  kJobCancelled = 6,
  kRefused = 7,  ///< precondition, quota or permission
  kInterrupted = 130,
};

/// The exit code that fits an error.
ExitCode ExitCodeOf(const Status& status);

/// One option or positional argument of a command, bound to the variable that receives it.
struct Option {
  using Target = std::variant<bool*, std::string*, std::optional<std::string>*, std::int64_t*,
                              std::optional<std::int64_t>*, double*, std::vector<std::string>*,
                              std::vector<std::int64_t>*>;  ///< lists: comma-separated, and the
                                                            ///< option may be repeated

  std::string_view
      name;  ///< "--model"; "--clip,!--no-clip" for a flag with a negative; "DIR" positional
  std::string_view value_name;  ///< "DIR"; empty for flags
  std::string_view help;
  Target target;
  bool required = false;
};

/// What a command has: options, and what to do. Filled by the command's Declare function, which
/// owns the bound variables through `run`'s captures.
struct CommandSpec {
  std::vector<Option> options;
  std::function<ExitCode()> run;
};

/// A row of a program's command table: adding a command is one file and one row.
struct Command {
  std::string_view name;
  std::string_view
      group;  ///< heading in --help; empty for none. "submit" makes `submit <name>` of it.
  std::string_view summary;
  void (*declare)(CommandSpec& spec);
};

struct ProgramInfo {
  std::string_view name;
  std::string_view summary;
  std::string_view version;
};

/// Parses the arguments, answers --help and --version, runs the chosen command. Wrong arguments
/// print one message to standard error and give kBadArguments. `global` options stand before or
/// after the command.
int RunProgram(const ProgramInfo& program, std::span<const Command> commands,
               std::span<const Option> global, int argc, const char* const* argv);

/// A program without commands (tyllm-server, tyllm-worker).
int RunProgram(const ProgramInfo& program, const CommandSpec& spec, int argc,
               const char* const* argv);

/// Prints "error: <message>" to standard error (a JSON object when `json`) and gives the exit code.
ExitCode ReportError(const Status& status, bool json = false);

}  // namespace tyllm::cli
