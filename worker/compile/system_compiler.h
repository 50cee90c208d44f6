// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::compile {

/// A C++ compiler of this machine.
struct SystemCompiler {
  std::string program;                 ///< name or path
  std::string id;                      ///< first line of what --version says
  std::vector<std::string> arguments;  ///< before the flags of every program: "--target=..."
};

/// The argument that makes debuggers and profilers show lines of the source, where that is kept;
/// half of a program's bytes.
inline constexpr std::string_view kLineTables = "-g1";

/// In place of a compiler: programs are generated but not compiled, and the artifact is
/// interpreted.
inline constexpr std::string_view kNoCompiler = "none";

/// The compiler named, or the first that works for the target CPU: of clang++-19, clang++, g++
/// (clang keeps the tiles of the matrix kernels in registers, g++ 12 does not), or of cross
/// compilers where this machine is of another kind. kFailedPrecondition says what was tried and
/// what to install.
Result<SystemCompiler> FindCompiler(const std::string& requested, std::string_view target_cpu);

/// As many compilers at once, at most `wanted`, as the machine's free memory has room for.
int CompilersThatFit(int wanted);

/// Flags of every program, without paths: part of the toolchain's identity.
std::vector<std::string> ProgramFlags(std::string_view target_cpu);

/// CPUs that --target-cpu knows; "native" becomes the best of these that this machine is.
Result<std::string> ResolveTargetCpu(const std::string& target_cpu);

/// Whether the compiler reads headers that it has gone through before in much less time than it
/// takes to do that, and makes the same object of them (docs/adr/0030): clang, without line tables.
bool GainsByPrecompiling(const SystemCompiler& compiler);

/// Makes `directory`/program.pch of `directory`/program.h with headers from `include`, for programs
/// in folders beside `directory`.
Status PrecompileHeader(const SystemCompiler& compiler, const std::vector<std::string>& flags,
                        const Path& directory, const Path& include);

/// Compiles `directory`/program.cpp to `directory`/program.so with headers from `include`, within
/// limits of time and memory. The compiler's messages are in the error. Paths leave no trace in the
/// object, nor does `precompiled`, a file of PrecompileHeader; empty: none.
Status RunCompiler(const SystemCompiler& compiler, const std::vector<std::string>& flags,
                   const Path& directory, const Path& include, const Path& precompiled = {});

}  // namespace tyllm::compile
