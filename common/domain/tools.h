// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/domain/job.h"

// What some tasks need and not every worker has. A worker states those that it has with their
// versions; requirements name them "tool.NAME".
namespace tyllm::domain {

/// A C++ compiler for programs of a kind of machine; its version is the first line of what
/// --version says, as artifacts record it.
inline constexpr std::string_view kSimX86Tool = "sim-x86_64";
inline constexpr std::string_view kSimArmTool = "sim-aarch64";
/// The vendor's toolchain.
inline constexpr std::string_view kVendorTool = "tytvm";
/// Video files can be read.
inline constexpr std::string_view kVideoTool = "video";

/// Of an error: the tool that is not here, or is another than was asked for.
inline constexpr std::string_view kMissingToolFact = "missing_tool";

/// Whether programs are made with it.
bool IsCompilerTool(std::string_view tool);
/// Which compiler programs with such options are made with.
std::string_view CompilerTool(const CompileOptions& options);
/// The same of programs for the die simulator.
std::string_view CompilerTool(std::string_view target_cpu);

/// Whether the task makes programs, and so has a compiler: a die's, or all at once by the vendor's
/// toolchain. What puts dies together runs none.
bool RunsCompiler(const TaskSpec& spec);
/// Whether TaskSpec::compiler is part of it: the above, and putting dies together.
bool HasCompiler(const TaskSpec& spec);

/// Every compilation of the plan is with this compiler.
void SetCompiler(JobPlan& plan, std::string_view compiler);

}  // namespace tyllm::domain
