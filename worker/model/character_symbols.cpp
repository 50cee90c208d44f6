// SPDX-License-Identifier: Apache-2.0
#include "worker/model/character_symbols.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "worker/model/byte_token.h"

namespace tyllm::model {

namespace {

constexpr std::size_t kByteTokenSize = 6;  // "<0x0A>"

std::string_view LastCharacter(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) {
    --at;
  }
  return text.substr(at);
}

}  // namespace

CharacterSymbols::CharacterSymbols(const TokenizerDescription& description)
    : byte_tokens_(description.byte_tokens), seams_({}) {
  pages_.emplace_back().fill(kNone);
  for (const VocabularyEntry& entry : description.vocabulary) {
    if (entry.text.empty()) {
      continue;
    }
    if (const Utf8Character first = FirstCharacter(entry.text); first.length == entry.text.size()) {
      AddCharacter(first.code, entry.id);
    }
  }
  seams_ = Seams(description);
}

void CharacterSymbols::AddCharacter(std::uint32_t code, TokenId token) {
  std::uint16_t& page = page_of_[code / kPage];
  if (page == 0) {
    page = static_cast<std::uint16_t>(pages_.size());
    pages_.emplace_back().fill(kNone);
  }
  pages_[page][code % kPage] = token;
}

MergeTable CharacterSymbols::Seams(const TokenizerDescription& description) const {
  std::unordered_map<TokenId, std::string_view> texts;
  for (const VocabularyEntry& entry : description.vocabulary) {
    texts.emplace(entry.id, entry.text);
  }
  // A token begins with its first character or, where it is spelt so, with a byte's token; and ends
  // alike.
  const auto ends = [this](std::string_view character, std::string_view spelling) {
    std::array<TokenId, 2> symbols{TokenOf(FirstCharacter(character).code), kNone};
    if (const std::optional<std::uint8_t> byte = ByteOfToken(spelling)) {
      symbols[1] = byte_tokens_[*byte];
    }
    return symbols;
  };
  std::set<std::pair<TokenId, TokenId>> seams;
  for (const MergeRule& rule : description.merges) {
    const std::string_view left = texts[rule.left];
    const std::string_view right = texts[rule.right];
    const std::size_t tail = left.size() - std::min(left.size(), kByteTokenSize);
    for (const TokenId last : ends(LastCharacter(left), left.substr(tail))) {
      for (const TokenId first : ends(right, right.substr(0, kByteTokenSize))) {
        if (last != kNone && first != kNone) {
          seams.emplace(last, first);
        }
      }
    }
  }
  std::vector<MergeRule> rules;
  for (const auto& [last, first] : seams) {
    rules.push_back({last, first, 0});
  }
  return MergeTable(rules);
}

}  // namespace tyllm::model
