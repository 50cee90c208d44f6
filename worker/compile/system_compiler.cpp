// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/system_compiler.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/child_process.h"
#include "common/base/free_memory.h"
#include "common/domain/tools.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::compile {
namespace {

/// A kind of machine: what compiles for it there, and elsewhere.
struct Machine {
  std::string_view triple;
  std::array<std::string_view, 3> at_home;
  std::array<std::string_view, 3> elsewhere;
  std::string_view package;  ///< of Debian, to compile for it elsewhere
};

constexpr std::array<Machine, 2> kMachines{
    Machine{"x86_64-linux-gnu",
            {"clang++-19", "clang++", "g++"},
            {"x86_64-linux-gnu-g++", "clang++-19", "clang++"},
            "g++-x86-64-linux-gnu"},
    Machine{"aarch64-linux-gnu",
            {"clang++-19", "clang++", "g++"},
            {"aarch64-linux-gnu-g++", "clang++-19", "clang++"},
            "g++-aarch64-linux-gnu"}};

#if defined(__aarch64__)
constexpr const Machine& kThisMachine = kMachines[1];
#else
constexpr const Machine& kThisMachine = kMachines[0];
#endif

const Machine& MachineOf(std::string_view target_cpu) {
  return kMachines[target_cpu.starts_with("arm") ? 1 : 0];
}

constexpr std::chrono::seconds kVersionLimit{20};
constexpr std::chrono::minutes kCompileLimit{10};
constexpr std::string_view kMemoryLimitKib = "8388608";
/// What a compiler needs of a program; twice what clang 19 was seen to take.
constexpr std::int64_t kCompilerBytes = std::int64_t{600} << 20U;

/// A target CPU and what makes compilers use all of it.
struct Level {
  std::string_view name;
  std::string_view architecture;
  std::string_view beyond = {};  ///< an instruction set that the architecture lacks
};

/// Of each kind of machine from the least to the most that it can have.
constexpr std::array kLevels{Level{"x86-64", "x86-64"},
                             Level{"x86-64-v2", "x86-64-v2"},
                             Level{"x86-64-v3", "x86-64-v3"},
                             Level{"x86-64-v4", "x86-64-v4"},
                             Level{"x86-64-v4-vnni", "x86-64-v4", "avx512vnni"},
                             Level{"armv8-a", "armv8-a"}};

const Level* FindLevel(std::string_view name) {
  const auto* const found = std::ranges::find(kLevels, name, &Level::name);
  return found == kLevels.end() ? nullptr : found;
}

/// A compiler is killed with this process, however that ends.
CommandLine Compiling(std::vector<std::string> argv) {
  return {.argv = std::move(argv), .environment = {"LC_ALL=C"}, .ends_with_us = true};
}

Result<SystemCompiler> Probe(const std::string& program) {
  TYLLM_ASSIGN(const CommandOutcome outcome,
               RunCommand(Compiling({program, "--version"}), kVersionLimit));
  const std::string line = outcome.output.substr(0, outcome.output.find('\n'));
  if (!outcome.exit.ok() || line.empty()) {
    return FailedPrecondition(program + " --version ended with " + outcome.exit.ToString());
  }
  return SystemCompiler{program, line, {}};
}

/// The same for another kind of machine: it must find that machine's headers, too.
Result<SystemCompiler> ProbeCross(const std::string& program, const Machine& machine) {
  TYLLM_ASSIGN(SystemCompiler compiler, Probe(program));
  if (compiler.id.find("clang") != std::string::npos) {
    compiler.arguments = {"--target=" + std::string(machine.triple)};
  }
  CommandLine command = Compiling({program});
  command.argv.insert(command.argv.end(), compiler.arguments.begin(), compiler.arguments.end());
  command.argv.insert(command.argv.end(), {"-x", "c++", "-std=c++20", "-include", "array",
                                           "-fsyntax-only", "/dev/null"});
  TYLLM_ASSIGN(const CommandOutcome outcome, RunCommand(command, kVersionLimit));
  if (!outcome.exit.ok()) {
    return FailedPrecondition(program + " does not compile for " + std::string(machine.triple) +
                              ": " + outcome.output);
  }
  return compiler;
}

Path Absolute(const Path& path) {
  std::error_code error;
  Path absolute = std::filesystem::weakly_canonical(path, error);
  return error ? path : absolute;
}

/// A name is looked up in PATH. A path that begins nowhere stands for this process's folder, but
/// compilers are run in others.
std::string WithFolder(const std::string& program) {
  std::error_code error;
  if (program.find('/') == std::string::npos || Path(program).is_absolute()) {
    return program;
  }
  const Path absolute = std::filesystem::absolute(program, error);
  return error ? program : absolute.lexically_normal().string();
}

/// A name for the folder that a compiler runs in which is the same everywhere: it goes into debug
/// information, and compilers take PWD for the folder's name when it is one. Nothing of a path of
/// the user's stands in an option then; clang splits those that map names at their first '='.
constexpr const char* kHere = "/proc/self/cwd";

bool HasHere() {
  std::error_code error;
  return std::filesystem::is_directory(kHere, error);
}

/// `arguments` say what is compiled, in `directory`.
Status RunIn(const SystemCompiler& compiler, const std::vector<std::string>& arguments,
             const Path& directory, const Path& include) {
  // The shell only sets the limit of memory and then becomes the compiler.
  CommandLine command =
      Compiling({"/bin/sh", "-c", "ulimit -v " + std::string(kMemoryLimitKib) + " && exec \"$@\"",
                 "sh", compiler.program});
  command.argv.insert(command.argv.end(), compiler.arguments.begin(), compiler.arguments.end());
  const Path folder = Absolute(directory);
  const std::string headers = Absolute(include).lexically_relative(folder).generic_string();
  const std::string here = HasHere() ? kHere : folder.string();
  command.argv.insert(command.argv.end(),
                      {"-ffile-prefix-map=" + here + "=.",
                       "-ffile-prefix-map=" + headers + "=include", "-I" + headers});
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.environment.push_back("PWD=" + here);
  command.directory = directory;
  TYLLM_ASSIGN(const CommandOutcome outcome, RunCommand(command, kCompileLimit));
  if (!outcome.exit.ok()) {
    return Internal(compiler.program + " ended with " + outcome.exit.ToString() +
                    " on a generated program (" + (directory / "program.cpp").string() +
                    "); it said:\n" + outcome.output);
  }
  return OkStatus();
}

}  // namespace

Result<SystemCompiler> FindCompiler(const std::string& requested, std::string_view target_cpu) {
  const Machine& machine = MachineOf(target_cpu);
  const bool at_home = &machine == &kThisMachine;
  const auto probe = [&](const std::string& program) {
    return at_home ? Probe(program) : ProbeCross(program, machine);
  };
  if (requested == kNoCompiler) {
    return SystemCompiler{requested, requested, {}};
  }
  if (!requested.empty()) {
    return probe(WithFolder(requested)).Annotate("compiler '" + requested + "' does not work");
  }
  std::string tried;
  for (const std::string_view candidate : at_home ? machine.at_home : machine.elsewhere) {
    if (Result<SystemCompiler> found = probe(std::string(candidate)); found.ok()) {
      return found;
    }
    tried += (tried.empty() ? "" : ", ") + std::string(candidate);
  }
  return Unavailable("no C++ compiler for " + std::string(machine.triple) + " found: tried " +
                     tried + "; install one (Debian: apt-get install " +
                     (at_home ? "clang-19" : std::string(machine.package)) +
                     "), name one with --compiler, or make a model that is interpreted with "
                     "--compiler none")
      .With(domain::kMissingToolFact, std::string(domain::CompilerTool(target_cpu)));
}

int CompilersThatFit(int wanted) {
  const std::optional<std::int64_t> free = FreeMemory();
  return free ? static_cast<int>(std::clamp<std::int64_t>(*free / kCompilerBytes, 1, wanted))
              : wanted;
}

std::vector<std::string> ProgramFlags(std::string_view target_cpu) {
  const Level* const level = FindLevel(target_cpu);
  std::vector<std::string> flags{
      "-std=c++20", "-O3",
      "-march=" + std::string(level == nullptr ? target_cpu : level->architecture)};
  if (level != nullptr && !level->beyond.empty()) {
    flags.push_back("-m" + std::string(level->beyond));
  }
  flags.insert(flags.end(), {"-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-fno-math-errno",
                             "-fno-plt", "-fvisibility=hidden", "-fPIC", "-shared",
                             "-Wl,--build-id=sha1", "-Wl,-z,defs", "-Wl,--as-needed"});
  return flags;
}

Result<std::string> ResolveTargetCpu(const std::string& target_cpu) {
  std::string known;
  std::string best;
  for (const Level& level : kLevels) {
    known += std::string(level.name) + ", ";
    if (simulator::CheckTargetCpu(level.name).ok()) {
      best = level.name;
    }
  }
  if (target_cpu == "native" && !best.empty()) {
    return best;
  }
  if (FindLevel(target_cpu) == nullptr) {
    return InvalidArgument("target CPU is '" + target_cpu + "', expected one of: " + known +
                           "native");
  }
  return target_cpu;
}

bool GainsByPrecompiling(const SystemCompiler& compiler) {
  return compiler.id.find("clang") != std::string::npos &&
         std::ranges::find(compiler.arguments, kLineTables) == compiler.arguments.end();
}

Status PrecompileHeader(const SystemCompiler& compiler, const std::vector<std::string>& flags,
                        const Path& directory, const Path& include) {
  std::vector<std::string> arguments;
  std::ranges::copy_if(flags, std::back_inserter(arguments), [](const std::string& flag) {
    return flag != "-shared" && !flag.starts_with("-Wl,");  // nothing is linked
  });
  // A name that means the same from the folders beside this one, from which it is looked at again.
  const std::string header = "../" + directory.filename().string() + "/program.h";
  arguments.insert(arguments.end(), {"-x", "c++-header", "-o", "program.pch", header});
  return RunIn(compiler, arguments, directory, include);
}

Status RunCompiler(const SystemCompiler& compiler, const std::vector<std::string>& flags,
                   const Path& directory, const Path& include, const Path& precompiled) {
  std::vector<std::string> arguments = flags;
  if (!precompiled.empty()) {
    const Path file = Absolute(precompiled).lexically_relative(Absolute(directory));
    arguments.insert(arguments.end(), {"-include-pch", file.generic_string()});
  }
  arguments.insert(arguments.end(), {"-o", "program.so", "program.cpp"});
  return RunIn(compiler, arguments, directory, include);
}

}  // namespace tyllm::compile
