// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tyllm::model {

/// What becomes of spaces that decoded text begins with.
enum class LeadingSpace : std::uint8_t {
  kStays,
  kOneGoes,         ///< one, of the text
  kFirstTokenGoes,  ///< all, of the first token
};

/// Text that is made from tokens' bytes one after another.
class DecodedText {
 public:
  explicit DecodedText(LeadingSpace leading) : leading_(leading) {}

  /// Bytes of the next token.
  void Add(std::string_view bytes) {
    if (leading_ == LeadingSpace::kFirstTokenGoes && !has_token_) {
      AddFirst(bytes);
    } else {
      pending_ += bytes;
    }
  }

  /// The text that is complete, valid UTF-8, and not taken yet; with `at_end` all of it, U+FFFD for
  /// bytes that make no character.
  std::string Take(bool at_end);

 private:
  void AddFirst(std::string_view bytes);

  LeadingSpace leading_;
  bool has_token_ = false;
  bool has_text_ = false;
  std::string pending_;
};

}  // namespace tyllm::model
