// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tyllm::cli {

/// The known word that `word` was probably meant to be: fewest edits (insert, delete, replace, swap
/// of neighbours), at most a third of its length. Empty when none is near.
std::string_view Nearest(std::string_view word, std::span<const std::string> known);

}  // namespace tyllm::cli
