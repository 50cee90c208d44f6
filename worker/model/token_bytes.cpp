// SPDX-License-Identifier: Apache-2.0
#include "worker/model/token_bytes.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "worker/model/byte_token.h"
#include "worker/model/normalizer.h"

namespace tyllm::model {

namespace {

void Append(const DecodingRule& rule, std::string_view text, std::string& bytes) {
  const auto byte = rule.byte_tokens ? ByteOfToken(text) : std::optional<std::uint8_t>();
  if (byte) {
    bytes += static_cast<char>(*byte);
  } else if (rule.mark) {
    bytes += Replaced(text, rule.mark->pattern, rule.mark->content);
  } else {
    bytes += text;
  }
}

}  // namespace

Result<TokenBytes> TokenBytes::Create(const TokenizerDescription& description) {
  const Normalizer normalizer(description.normalizer);
  std::unordered_map<TokenId, std::string> added;
  std::unordered_map<TokenId, std::string_view> known;
  TokenId size = 0;
  const auto add = [&](TokenId id, std::string_view text) {
    known[id] = text;
    size = std::max(size, id + 1);
  };
  for (const VocabularyEntry& entry : description.vocabulary) {
    add(entry.id, entry.text);
  }
  // Last: an added token is its content, or what stands for that in normalized text.
  for (const AddedToken& token : description.added) {
    std::string storage;
    TYLLM_ASSIGN(const std::string_view normal, normalizer.Apply(token.content, storage));
    add(token.id, added[token.id] = token.normalized ? normal : token.content);
  }
  TokenBytes bytes;
  bytes.ends_.reserve(static_cast<std::size_t>(size));
  for (TokenId id = 0; id < size; ++id) {
    if (const auto found = known.find(id); found != known.end()) {
      Append(description.decoding, found->second, bytes.bytes_);
    }
    bytes.ends_.push_back(bytes.bytes_.size());
  }
  return bytes;
}

}  // namespace tyllm::model
