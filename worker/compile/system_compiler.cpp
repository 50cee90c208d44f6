// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/system_compiler.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>

#include "common/base/child_process.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::compile {
namespace {

constexpr std::array<std::string_view, 3> kCandidates{"clang++-19", "clang++", "g++"};
constexpr std::chrono::seconds kVersionLimit{20};
constexpr std::chrono::minutes kCompileLimit{10};
constexpr std::string_view kMemoryLimitKib = "8388608";

/// From the most to the least that a machine can have.
constexpr std::array<std::string_view, 4> kLevels{"x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"};

Result<SystemCompiler> Probe(const std::string& program) {
  TYLLM_ASSIGN(const CommandOutcome outcome,
               RunCommand({{program, "--version"}, {"LC_ALL=C"}, {}, {}}, kVersionLimit));
  const std::string line = outcome.output.substr(0, outcome.output.find('\n'));
  if (!outcome.exit.ok() || line.empty()) {
    return FailedPrecondition(program + " --version ended with " + outcome.exit.ToString());
  }
  return SystemCompiler{program, line};
}

/// The whole path that debug information would name.
std::string Absolute(const Path& path) {
  std::error_code error;
  const Path absolute = std::filesystem::weakly_canonical(path, error);
  return (error ? path : absolute).string();
}

}  // namespace

Result<SystemCompiler> FindCompiler(const std::string& requested) {
  if (!requested.empty()) {
    return Probe(requested).Annotate("compiler '" + requested + "' does not work");
  }
  for (const std::string_view candidate : kCandidates) {
    if (Result<SystemCompiler> found = Probe(std::string(candidate)); found.ok()) {
      return found;
    }
  }
  return FailedPrecondition(
      "no C++ compiler found: tried clang++-19, clang++ and g++; install one (Debian: apt-get "
      "install clang-19), or name one with --compiler");
}

std::vector<std::string> ProgramFlags(std::string_view target_cpu) {
  return {"-std=c++20",
          "-O3",
          "-march=" + std::string(target_cpu),
          "-ffp-contract=off",
          "-fno-exceptions",
          "-fno-rtti",
          "-fno-math-errno",
          "-fno-plt",
          "-fvisibility=hidden",
          "-fPIC",
          "-g1",
          "-shared",
          "-Wl,--build-id=sha1",
          "-Wl,-z,defs",
          "-Wl,--as-needed"};
}

Result<std::string> ResolveTargetCpu(const std::string& target_cpu) {
  if (target_cpu == "native") {
    for (const std::string_view level : kLevels) {
      if (simulator::CheckTargetCpu(level).ok()) {
        return std::string(level);
      }
    }
  }
  if (std::find(kLevels.begin(), kLevels.end(), target_cpu) == kLevels.end()) {
    return InvalidArgument("target CPU is '" + target_cpu +
                           "', expected one of: x86-64, x86-64-v2, x86-64-v3, x86-64-v4, native");
  }
  return target_cpu;
}

Status RunCompiler(const SystemCompiler& compiler, const std::vector<std::string>& flags,
                   const Path& directory, const Path& include) {
  CommandLine command;
  // The shell only sets the limit of memory and then becomes the compiler.
  command.argv = {"/bin/sh", "-c", "ulimit -v " + std::string(kMemoryLimitKib) + " && exec \"$@\"",
                  "sh", compiler.program};
  command.argv.insert(command.argv.end(), flags.begin(), flags.end());
  command.argv.insert(command.argv.end(),
                      {"-ffile-prefix-map=" + Absolute(directory) + "=.",
                       "-ffile-prefix-map=" + Absolute(include) + "=include",
                       "-I" + Absolute(include), "-o", "program.so", "program.cpp"});
  command.environment = {"LC_ALL=C"};
  command.directory = directory;
  TYLLM_ASSIGN(const CommandOutcome outcome, RunCommand(command, kCompileLimit));
  if (!outcome.exit.ok()) {
    return Internal(compiler.program + " ended with " + outcome.exit.ToString() +
                    " on a generated program (" + (directory / "program.cpp").string() +
                    "); it said:\n" + outcome.output);
  }
  return OkStatus();
}

}  // namespace tyllm::compile
