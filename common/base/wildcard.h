// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tyllm {

/// Whether it stands for more than the one name that it is.
constexpr bool IsWildcard(std::string_view pattern) {
  return pattern.find('*') != std::string_view::npos;
}

/// Whether all of `name` is as `pattern` says, in which `*` stands for any characters or none.
/// Takes no longer than the product of their lengths.
bool FitsWildcard(std::string_view pattern, std::string_view name);

}  // namespace tyllm
