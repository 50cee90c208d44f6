// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/model/merge_table.h"
#include "worker/model/tokenizer_description.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

/// The tokens that text is made of before anything merges, where they are characters, and the bytes
/// of characters that are no token. Immutable; usable from any thread.
///
/// A whole document may be one piece. It is cut where no merge can ever reach across: where no rule
/// joins a token that ends with the symbol on the left with one that begins with the symbol on the
/// right. On both sides of such a place merging goes on alone, so the stretches merged one by one
/// are the whole merged; most are words.
class CharacterSymbols {
 public:
  explicit CharacterSymbols(const TokenizerDescription& description);

  /// Cuts `piece`, valid UTF-8, into stretches: `emit(text)` is called for each in order, when
  /// `symbols` holds those of the stretch; they are emit's to change.
  template <typename Emit>
  void Cut(std::string_view piece, std::vector<TokenId>& symbols, const Emit& emit) const {
    symbols.clear();
    std::size_t begin = 0;
    TokenId before = kNone;
    for (std::size_t at = 0; at < piece.size();) {
      const Utf8Character character = FirstCharacter(piece.substr(at));
      const TokenId whole = TokenOf(character.code);
      const std::size_t count = whole == kNone ? character.length : 1;
      for (std::size_t i = 0; i < count; ++i) {
        const TokenId symbol =
            whole == kNone ? byte_tokens_[static_cast<unsigned char>(piece[at + i])] : whole;
        if (before != kNone && !MayJoin(before, symbol)) {
          emit(piece.substr(begin, at + i - begin));
          symbols.clear();
          begin = at + i;
        }
        symbols.push_back(symbol);
        before = symbol;
      }
      at += character.length;
    }
    if (!symbols.empty()) {
      emit(piece.substr(begin));
    }
  }

 private:
  static constexpr TokenId kNone = -1;
  static constexpr std::uint32_t kPage = 256;  // code points of a page
  static constexpr std::uint32_t kPages = 0x110000 / kPage;
  using Page = std::array<TokenId, kPage>;

  TokenId TokenOf(std::uint32_t code) const { return pages_[page_of_[code / kPage]][code % kPage]; }

  bool MayJoin(TokenId left, TokenId right) const {
    return seams_.Find(left, right).rank != MergeTable::kNoRank;
  }

  void AddCharacter(std::uint32_t code, TokenId token);
  MergeTable Seams(const TokenizerDescription& description) const;

  std::array<TokenId, 256> byte_tokens_;
  std::vector<std::uint16_t> page_of_ = std::vector<std::uint16_t>(kPages);
  std::vector<Page> pages_;  // the first holds no token
  MergeTable seams_;         // which pairs of symbols some rule joins
};

}  // namespace tyllm::model
