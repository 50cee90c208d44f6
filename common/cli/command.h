// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/status.h"

/// Command lines as tables: a program is rows of commands, a command is rows of options
/// (docs/howto/add-command.md).
namespace tyllm::cli {

/// What the shell is told. The same numbers for every program; documented in
/// docs/manual/exit-codes.md.
enum class ExitCode : std::uint8_t {
  kOk = 0,
  kFailed = 1,        ///< the work was tried and failed
  kBadArguments = 2,  ///< unknown option, bad value, a combination that cannot be
  kNotFound = 3,      ///< a file, model, job or artifact that was named is not there
  kUnreachable = 4,   ///< the server does not answer; what this machine should have is not there
  kJobFailed = 5,     ///< the job ended in failure (client, with --wait)
  kJobCancelled = 6,
  kRefused = 7,         ///< precondition or permission
  kOutOfResources = 8,  ///< disk or a quota ran out
  kOutOfMemory = 9,     ///< the machine's memory ran out
  kOutOfGpuMemory = 10,
  kConditionHolds = 11,  ///< the work is done, and a condition of --fail-if holds of its result
  kMachine = 17,         ///< of a farm's job: its machine is to blame, another one may do it
  kToolMissing = 18,     ///< the same, for want of a tool that the job is for
  kInterrupted = 130,
};

/// The exit code that fits an error.
ExitCode ExitCodeOf(const Status& status);

/// An option whose value is one of a few names. Made by OneOf.
struct Choice {
  std::string names;    ///< "awq|rtn"
  std::string initial;  ///< the default; empty for none
  std::function<Status(std::string_view)> set;
};

/// One option or positional argument of a command, bound to the variable that receives it. What the
/// variable holds when it is declared is the default, and --help shows it.
struct Option {
  /// Lists: numbers are comma-separated and the option may be repeated; texts (they may hold
  /// commas) only by repeating the option. Every other option is given at most once.
  using Target =
      std::variant<bool*, std::string*, std::optional<std::string>*, std::filesystem::path*,
                   std::optional<std::filesystem::path>*, std::int64_t*,
                   std::optional<std::int64_t>*, double*, std::optional<double>*,
                   std::vector<std::string>*, std::vector<std::int64_t>*, Choice>;

  std::string_view
      name;  ///< "--model"; "--clip,!--no-clip" for a flag with a negative; "DIR" positional
  std::string_view value_name;  ///< "DIR"; empty for flags and choices
  std::string_view help;
  Target target;
  bool required = false;
};

/// What a command has: options, and what to do. Filled by the command's Declare function, which
/// owns the bound variables through `run`'s captures (a shared_ptr to the request).
struct CommandSpec {
  std::vector<Option> options;
  std::function<ExitCode()> run;
  std::string description;            ///< a few sentences for the command's --help; may be empty
  std::vector<std::string> examples;  ///< whole command lines, shown by --help
};

/// A command as RunProgram takes it; see CommandRow.
struct Command {
  std::string_view name;   ///< "quantize"; "submit quantize" is the command `quantize` of `submit`
  std::string_view group;  ///< heading in --help; empty for "Commands"
  std::string_view summary;
  std::function<void(CommandSpec& spec)> declare;
};

/// A row of a program's constexpr command table: adding a command is one file and one row.
/// `Context` is what all commands of the program share (where progress goes, how the server is
/// reached); it outlives RunProgram, and global options are bound to it.
template <typename Context>
struct CommandRow {
  std::string_view name;
  std::string_view group;
  std::string_view summary;
  void (*declare)(CommandSpec& spec, Context& context);
};

/// The rows of a table, bound to one context.
template <typename Context>
std::vector<Command> Bind(std::span<const CommandRow<Context>> rows, Context& context) {
  std::vector<Command> commands;
  for (const CommandRow<Context>& row : rows) {
    commands.push_back({row.name, row.group, row.summary,
                        [&row, &context](CommandSpec& spec) { row.declare(spec, context); }});
  }
  return commands;
}

struct ProgramInfo {
  std::string_view name;
  std::string_view summary;
  std::string_view version;
};

/// Parses the arguments, answers --help and --version, runs the chosen command. Wrong arguments
/// print one message to standard error and give kBadArguments; with --json among the arguments that
/// message is JSON, whatever is wrong. `global` options stand before or after the command. SIGPIPE
/// and SIGXFSZ are ignored from here on: a reader of standard output that goes away ends the
/// output, not the work, and a file that may not grow is an error. Output that cannot be written
/// (full disk) gives kFailed.
int RunProgram(const ProgramInfo& program, std::span<const Command> commands,
               std::span<const Option> global, int argc, const char* const* argv);

/// A program without commands (tyllm-server, tyllm-worker).
int RunProgram(const ProgramInfo& program, const CommandSpec& spec, int argc,
               const char* const* argv);

/// Prints "error: <message>" to standard error, or with `json` one line
/// {"error":{"code":"NOT_FOUND","message":"..."}}, and gives the exit code.
ExitCode ReportError(const Status& status, bool json = false);

/// The target of an option that takes a name of `table` (which outlives it: tables are constexpr).
template <typename E, std::size_t N>
Choice OneOf(const EnumTable<E, N>& table, E* target) {
  std::string names;
  for (const auto& [value, name] : table.rows()) {
    names += (names.empty() ? "" : "|") + std::string(name);
  }
  return {names, std::string(table.Name(*target)), [&table, target](std::string_view text) {
            auto parsed = table.Parse(text);
            if (parsed.ok()) {
              *target = *parsed;
            }
            return parsed.status();
          }};
}

}  // namespace tyllm::cli
