// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace tyllm::client {

/// Text in UTF-8 that comes in pieces of bytes, given on in whole characters. Bytes that are no
/// UTF-8 are given on as they are.
class WholeCharacters {
 public:
  /// What was held back and this piece, without a character at its end that is not all there.
  std::string Take(std::string_view piece);

  /// What is still held back when no more comes.
  std::string Rest() { return std::exchange(held_, {}); }

 private:
  std::string held_;
};

}  // namespace tyllm::client
