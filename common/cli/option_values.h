// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli/command.h"

namespace tyllm::cli {

/// "DIR" rather than "--dir".
bool IsPositional(const Option& option);
bool IsFlag(const Option& option);
/// May be given more than once.
bool IsList(const Option& option);
/// The spellings of an option without "!" marks: {"--clip", "--no-clip"}.
std::vector<std::string> Spellings(const Option& option);
/// How messages name it: its first long spelling, or the positional's name.
std::string NameOf(const Option& option);
/// "DIR", or the choices; empty for flags.
std::string ValueNameOf(const Option& option);
/// The default that --help shows; empty for none.
std::string DefaultOf(const Option& option);

/// Converts what was given for an option and stores it; nothing given leaves the default. Errors
/// name the option, the value and what was expected.
Status StoreValues(const Option& option, std::span<const std::string> given);

}  // namespace tyllm::cli
