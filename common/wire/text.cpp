// SPDX-License-Identifier: Apache-2.0
#include "common/wire/text.h"

#include <algorithm>
#include <cstdint>

namespace tyllm::wire {

namespace {

bool Continues(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<std::uint8_t>(text[at]) & 0xC0U) == 0x80;
}

// Bytes of the well-formed character at the front (Unicode 14, table 3-7), 0 when there is none.
std::size_t CharacterLength(std::string_view text) {
  const auto first = static_cast<std::uint8_t>(text[0]);
  const auto second = text.size() > 1 ? static_cast<std::uint8_t>(text[1]) : std::uint8_t{0};
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return Continues(text, 1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && second < 0xA0;
    const bool surrogate = first == 0xED && second > 0x9F;
    return Continues(text, 1) && Continues(text, 2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && second < 0x90;
    const bool beyond = first == 0xF4 && second > 0x8F;
    return Continues(text, 1) && Continues(text, 2) && Continues(text, 3) && !overlong && !beyond
               ? 4
               : 0;
  }
  return 0;
}

}  // namespace

std::string ValidUtf8(std::string_view text) {
  const auto ascii = std::ranges::find_if(text, [](char c) { return (c & 0x80) != 0; });
  std::string valid(text.begin(), ascii);
  text.remove_prefix(valid.size());
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    if (length == 0) {
      valid += "\xEF\xBF\xBD";
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return valid;
}

std::string Shortened(std::string_view text, std::size_t limit) {
  constexpr std::string_view kMark = "...";
  if (text.size() <= limit) {
    return std::string(text);
  }
  std::size_t end = limit - kMark.size();
  while (end > 0 && Continues(text, end)) {
    --end;
  }
  return std::string(text.substr(0, end)) + std::string(kMark);
}

}  // namespace tyllm::wire
