// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/model/tokenizer.h"

// Any bytes as tokenizer.json: an error, or a tokenizer that encodes and decodes. Without a
// normalizer and with every byte a token, text comes back as it was.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // NOLINT
  const auto tokenizer = tyllm::model::Tokenizer::Parse(text, "input");
  if (tokenizer.ok()) {
    const auto tokens = tokenizer->Encode("Hello  w\u00f6rld's\n\n 12345 <|end|>\U0001F642");
    if (tokens.ok()) {
      (void)tokenizer->Decode(*tokens, false);
    }
  }
  return 0;
}
