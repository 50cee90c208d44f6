// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace tyllm::client {

/// Progress and hints, which go to standard error: a command does not fail because nobody can read
/// them (a full disk, a terminal that is gone). Written out at once.
template <typename... Values>
void TellTo(std::FILE* out, fmt::format_string<Values...> text, Values&&... values) {
  const std::string told = fmt::format(text, std::forward<Values>(values)...);
  (void)std::fwrite(told.data(), 1, told.size(), out);
  (void)std::fflush(out);
}

template <typename... Values>
void Tell(fmt::format_string<Values...> text, Values&&... values) {
  TellTo(stderr, text, std::forward<Values>(values)...);
}

}  // namespace tyllm::client
