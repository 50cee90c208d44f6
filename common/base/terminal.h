// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace tyllm {

/// How wide the terminal `fd` is now; 80 where that is not known.
std::size_t TerminalColumns(int fd);

/// The beginning of a text that takes at most so many columns, whole UTF-8 characters only: a line
/// that wraps cannot be redrawn.
std::string_view CutToColumns(std::string_view text, std::size_t columns);

/// Likewise the end.
std::string_view CutToLastColumns(std::string_view text, std::size_t columns);

}  // namespace tyllm
