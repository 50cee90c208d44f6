// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "common/base/gpu_memory_error.h"
#include "common/cli/command.h"
#include "common/cli/command_line.h"
#include "common/cli/help_text.h"
#include "common/cli/nearest.h"
#include "common/cli/option_values.h"

namespace tyllm::cli {

namespace {

std::vector<std::string> WordsOf(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

std::string DidYouMean(std::string_view word, std::span<const std::string> known,
                       std::string_view before) {
  const std::string_view nearest = Nearest(word, known);
  return nearest.empty() ? ""
                         : "; did you mean '" + std::string(before) + std::string(nearest) + "'?";
}

void AddSpellings(std::span<const Option> options, std::vector<std::string>& known) {
  for (const Option& option : options) {
    for (std::string& name : Spellings(option)) {
      if (name.starts_with("-")) {
        known.push_back(std::move(name));
      }
    }
  }
}

// One program with its tables, for the length of one RunProgram.
class Program {
 public:
  Program(const ProgramInfo& info, std::vector<DeclaredCommand> commands,
          std::span<const Option> global)
      : info_(info), commands_(std::move(commands)), global_(global) {}

  Result<ExitCode> Run(int argc, const char* const* argv) const {
    TYLLM_ASSIGN(const ParsedLine line, ParseLine(commands_, global_, argc, argv));
    if (line.version) {
      std::cout << info_.name << " " << info_.version << "\n";
      return ExitCode::kOk;
    }
    if (line.command == nullptr && !line.unknown.empty()) {
      return UnknownArgument(line);
    }
    if (line.help) {
      std::cout << HelpFor(line);
      return ExitCode::kOk;
    }
    if (!line.unknown.empty()) {
      return UnknownArgument(line);
    }
    if (line.command == nullptr) {
      return InvalidArgument("no command is given; '" + Join(info_, line.words) +
                             " --help' lists them");
    }
    TYLLM_TRY(Store(global_, line.global_values, line));
    TYLLM_TRY(Store(line.command->spec.options, line.values, line));
    return line.command->spec.run();
  }

 private:
  std::string HelpFor(const ParsedLine& line) const {
    return line.command != nullptr ? CommandHelp(info_, *line.command, global_)
                                   : ProgramHelp(info_, commands_, global_, line.words);
  }

  Status UnknownArgument(const ParsedLine& line) const {
    const std::string name = Join(info_, line.words);
    const std::string& first = line.unknown.front();
    const bool is_option = first.size() > 1 && first.front() == '-';
    if (!is_option && line.command == nullptr) {
      return UnknownCommand(line, first);
    }
    if (!is_option) {
      return InvalidArgument("'" + first + "' is one argument too many; '" + name +
                             " --help' shows what is expected");
    }
    const std::string word = first.substr(0, first.find('='));
    std::vector<std::string> known;
    if (line.command != nullptr) {
      AddSpellings(line.command->spec.options, known);
      if (std::ranges::find(known, word) != known.end()) {
        return InvalidArgument("'" + word + "' belongs behind the command: '" + name + " " + word +
                               "'");
      }
    }
    known.insert(known.end(), {"--help", "--version"});
    AddSpellings(global_, known);
    const std::string meant = DidYouMean(word, known, "");
    return InvalidArgument("'" + word + "' is no option of '" + name + "'" +
                           (meant.empty() ? "; '" + name + " --help' lists them" : meant));
  }

  Status UnknownCommand(const ParsedLine& line, const std::string& word) const {
    std::vector<std::string> known;
    const std::size_t depth = line.words.size();
    for (const DeclaredCommand& command : commands_) {
      if (command.words.size() > depth &&
          std::equal(line.words.begin(), line.words.end(), command.words.begin())) {
        known.push_back(command.words[depth]);
      }
    }
    const std::string name = Join(info_, line.words);
    const std::string meant = DidYouMean(word, known, name + " ");
    return InvalidArgument("'" + word + "' is no command of '" + name + "'" +
                           (meant.empty() ? "; '" + name + " --help' lists them" : meant));
  }

  Status Store(std::span<const Option> options, const std::vector<std::vector<std::string>>& values,
               const ParsedLine& line) const {
    for (std::size_t i = 0; i < options.size(); ++i) {
      if (options[i].required && values[i].empty()) {
        const std::string value = IsPositional(options[i]) ? "" : " " + ValueNameOf(options[i]);
        return InvalidArgument(NameOf(options[i]) + value +
                               " is missing: " + std::string(options[i].help) + "; '" +
                               Join(info_, line.words) + " --help' shows an overview");
      }
      TYLLM_TRY(StoreValues(options[i], values[i]));
    }
    return OkStatus();
  }

  const ProgramInfo& info_;
  std::vector<DeclaredCommand> commands_;
  std::span<const Option> global_;
};

// Of output that did not arrive. A reader that went away has what it wanted.
ExitCode OutputFailed(int error, bool json) {
  if (error == EPIPE) {
    return ExitCode::kOk;
  }
  ReportError(ResourceExhausted("standard output cannot be written: " +
                                (error == 0 ? "an earlier write failed"
                                            : std::generic_category().message(error))),
              json);
  return ExitCode::kFailed;
}

// What was written to standard output must have arrived.
ExitCode FlushOutput(ExitCode code, bool json) {
  errno = 0;
  std::cout.flush();
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
  return written || code != ExitCode::kOk ? code : OutputFailed(errno, json);
}

Result<ExitCode> RunGuarded(const Program& program, bool json, int argc, const char* const* argv) {
  try {
    return program.Run(argc, argv);
  } catch (const GpuMemoryError& error) {
    ReportError(ResourceExhausted(error.what()), json);
    return ExitCode::kOutOfGpuMemory;
  } catch (const std::bad_alloc&) {
    return OutOfMemory("memory ran out; free some, or run where there is more");
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) != 0) {  // fmt::print throws what a write says
      std::clearerr(stdout);
      return OutputFailed(error.code().value(), json);
    }
    return Internal(std::string("unexpected: ") + error.what() + "; please report this");
  } catch (const std::exception& error) {
    return Internal(std::string("unexpected: ") + error.what() + "; please report this");
  }
}

/// Whether errors are to be JSON, before anybody knows what the command line means.
bool AsksForJson(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      return false;
    }
    if (word == "--json") {
      return true;
    }
  }
  return false;
}

int RunToEnd(const Program& program, int argc, const char* const* argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const bool json = AsksForJson(argc, argv);
  const Result<ExitCode> code = RunGuarded(program, json, argc, argv);
  return static_cast<int>(FlushOutput(code.ok() ? *code : ReportError(code.status(), json), json));
}

}  // namespace

int RunProgram(const ProgramInfo& program, std::span<const Command> commands,
               std::span<const Option> global, int argc, const char* const* argv) {
  std::vector<DeclaredCommand> declared;
  for (const Command& command : commands) {
    declared.push_back({WordsOf(command.name), &command, {}});
    command.declare(declared.back().spec);
  }
  return RunToEnd(Program(program, std::move(declared), global), argc, argv);
}

int RunProgram(const ProgramInfo& program, const CommandSpec& spec, int argc,
               const char* const* argv) {
  std::vector<DeclaredCommand> declared;
  declared.push_back({{}, nullptr, spec});
  return RunToEnd(Program(program, std::move(declared), {}), argc, argv);
}

}  // namespace tyllm::cli
