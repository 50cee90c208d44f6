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

/// Length of the longest beginning that is valid UTF-8.
std::size_t ValidUtf8Prefix(std::string_view bytes);

/// Moves text out of the front of `bytes`, U+FFFD for what is invalid. An unfinished character at
/// the end stays there, unless `at_end`, when it is invalid too.
std::string TakeUtf8(std::string& bytes, bool at_end);

}  // namespace tyllm::model
