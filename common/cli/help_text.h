// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/cli/command.h"
#include "common/cli/command_line.h"

namespace tyllm::cli {

/// Help of a program, or with `words` of a group of commands such as "submit": the commands whose
/// words begin so, under their headings.
std::string ProgramHelp(const ProgramInfo& program, std::span<const DeclaredCommand> commands,
                        std::span<const Option> global, std::span<const std::string> words);

/// Help of one command.
std::string CommandHelp(const ProgramInfo& program, const DeclaredCommand& command,
                        std::span<const Option> global);

/// "tyllm-client submit".
std::string Join(const ProgramInfo& program, std::span<const std::string> words);

}  // namespace tyllm::cli
