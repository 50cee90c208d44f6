// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::compile {

/// A C++ compiler of this machine.
struct SystemCompiler {
  std::string program;  ///< name or path
  std::string id;       ///< first line of what --version says
};

/// The compiler named, or the first that works of clang++-19, clang++, g++ (clang keeps the tiles
/// of the matrix kernels in registers, g++ 12 does not). kFailedPrecondition says what was tried
/// and what to install.
Result<SystemCompiler> FindCompiler(const std::string& requested);

/// Flags of every program, without paths: part of the toolchain's identity.
std::vector<std::string> ProgramFlags(std::string_view target_cpu);

/// CPUs that --target-cpu knows; "native" becomes the highest level that this machine has.
Result<std::string> ResolveTargetCpu(const std::string& target_cpu);

/// Compiles `directory`/program.cpp to `directory`/program.so with headers from `include`, within
/// limits of time and memory. The compiler's messages are in the error. Paths leave no trace in the
/// object.
Status RunCompiler(const SystemCompiler& compiler, const std::vector<std::string>& flags,
                   const Path& directory, const Path& include);

}  // namespace tyllm::compile
