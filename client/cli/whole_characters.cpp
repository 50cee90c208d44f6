// SPDX-License-Identifier: Apache-2.0
#include "client/cli/whole_characters.h"

#include <algorithm>
#include <cstddef>

namespace tyllm::client {

namespace {

/// Bytes of the character that begins with this one; 0: none does.
std::size_t LengthOf(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte >= 0xf0) {
    return byte < 0xf5 ? 4 : 0;
  }
  if (byte >= 0xe0) {
    return 3;
  }
  return byte >= 0xc2 ? 2 : 0;
}

bool Continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// Bytes at the end that begin a character which wants more.
std::size_t UnfinishedAtEnd(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const char c = text[text.size() - back];
    if (!Continues(c)) {
      return LengthOf(c) > back ? back : 0;
    }
  }
  return 0;
}

}  // namespace

std::string WholeCharacters::Take(std::string_view piece) {
  std::string text = std::exchange(held_, {});
  text += piece;
  const std::size_t unfinished = UnfinishedAtEnd(text);
  held_ = text.substr(text.size() - unfinished);
  text.resize(text.size() - unfinished);
  return text;
}

}  // namespace tyllm::client
