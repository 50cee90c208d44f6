// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tyllm::model {

enum class Utf8Kind : std::uint8_t {
  kCharacter,   ///< a whole character
  kInvalid,     ///< bytes that no character begins with
  kUnfinished,  ///< the beginning of a character, and then the text ends
};

/// What stands at the beginning of some bytes. `length` of an invalid sequence is that of the
/// "maximal subpart" (Unicode, chapter 3, table 3-7), which one U+FFFD replaces.
struct Utf8Unit {
  Utf8Kind kind = Utf8Kind::kInvalid;
  std::size_t length = 0;
};

/// `bytes` is not empty.
Utf8Unit FirstUtf8Unit(std::string_view bytes);

struct Utf8Character {
  std::uint32_t code = 0;
  std::size_t length = 0;
};

/// The character at the front of valid UTF-8 text, which is not empty.
inline Utf8Character FirstCharacter(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(text[i])};
  };
  const auto rest = [byte](std::size_t i) { return byte(i) & 0x3FU; };
  if (byte(0) < 0x80) {
    return {byte(0), 1};
  }
  if (byte(0) < 0xE0) {
    return {(byte(0) & 0x1FU) << 6U | rest(1), 2};
  }
  if (byte(0) < 0xF0) {
    return {(byte(0) & 0xFU) << 12U | rest(1) << 6U | rest(2), 3};
  }
  return {(byte(0) & 0x7U) << 18U | rest(1) << 12U | rest(2) << 6U | rest(3), 4};
}

/// Length of the longest beginning that is valid UTF-8.
std::size_t ValidUtf8Prefix(std::string_view bytes);

/// Moves text out of the front of `bytes`, U+FFFD for what is invalid. An unfinished character at
/// the end stays there, unless `at_end`, when it is invalid too.
std::string TakeUtf8(std::string& bytes, bool at_end);

}  // namespace tyllm::model
