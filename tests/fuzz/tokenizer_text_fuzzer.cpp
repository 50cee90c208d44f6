// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/support/byte_tokenizer.h"
#include "worker/model/tokenizer.h"
#include "worker/model/utf8.h"

namespace {

using tyllm::model::StreamDecoder;
using tyllm::model::TokenId;
using tyllm::model::Tokenizer;

const Tokenizer& ByteTokenizer() {
  static const Tokenizer tokenizer = *Tokenizer::Parse(
      tyllm::format::CompactJson(tyllm::testing::ByteTokenizerJson()), "tokenizer.json");
  return tokenizer;
}

std::string Streamed(std::span<const TokenId> tokens) {
  StreamDecoder decoder(ByteTokenizer());
  std::string text;
  for (const TokenId token : tokens) {
    text += decoder.Push(token);
  }
  return text + decoder.Flush();
}

}  // namespace

// Text that is UTF-8 comes back as it was; other text is an error. The bytes as tokens decode to
// valid text, at once and streamed alike.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // NOLINT
  const bool valid = tyllm::model::ValidUtf8Prefix(text) == size;
  const auto tokens = ByteTokenizer().Encode(text);
  TYLLM_CHECK(tokens.ok() == valid);
  if (valid) {
    TYLLM_CHECK(ByteTokenizer().Decode(*tokens, false) == text);
  }
  const std::vector<TokenId> bytes(data, data + size);
  const std::string decoded = ByteTokenizer().Decode(bytes);
  TYLLM_CHECK(tyllm::model::ValidUtf8Prefix(decoded) == decoded.size());
  TYLLM_CHECK(Streamed(bytes) == decoded);
  return 0;
}
