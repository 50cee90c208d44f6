// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/support/byte_tokenizer.h"
#include "tests/support/fallback_tokenizer.h"
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

const Tokenizer& FallbackTokenizer() {
  static const Tokenizer tokenizer = *Tokenizer::Parse(
      tyllm::format::CompactJson(tyllm::testing::FallbackTokenizerJson()), "tokenizer.json");
  return tokenizer;
}

std::string Streamed(const Tokenizer& tokenizer, std::span<const TokenId> tokens) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId token : tokens) {
    text += decoder.Push(token);
  }
  return text + decoder.Flush();
}

// Tokens decode to valid text, at once and streamed alike.
void CheckDecoding(const Tokenizer& tokenizer, std::span<const TokenId> tokens) {
  const std::string decoded = tokenizer.Decode(tokens);
  TYLLM_CHECK(tyllm::model::ValidUtf8Prefix(decoded) == decoded.size());
  TYLLM_CHECK(Streamed(tokenizer, tokens) == decoded);
}

// `comes_back`: no character of the text means anything else to the tokenizer.
void CheckText(const Tokenizer& tokenizer, std::string_view text, bool valid, bool comes_back) {
  const auto tokens = tokenizer.Encode(text);
  TYLLM_CHECK(tokens.ok() == valid);
  if (valid && comes_back) {
    TYLLM_CHECK(tokenizer.Decode(*tokens, false) == text);
  }
}

}  // namespace

// Text that is UTF-8 comes back as it was; other text is an error. The bytes as tokens decode to
// valid text, and so do they as tokens from the end of the bytes' on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // NOLINT
  const bool valid = tyllm::model::ValidUtf8Prefix(text) == size;
  CheckText(ByteTokenizer(), text, valid, true);
  CheckText(FallbackTokenizer(), text, valid,
            text.find('<') == text.npos && text.find("\u2581") == text.npos);
  std::vector<TokenId> tokens(data, data + size);
  CheckDecoding(ByteTokenizer(), tokens);
  CheckDecoding(FallbackTokenizer(), tokens);
  for (TokenId& token : tokens) {
    token = token < 128 ? token : token + 128;
  }
  CheckDecoding(ByteTokenizer(), tokens);
  CheckDecoding(FallbackTokenizer(), tokens);
  return 0;
}
