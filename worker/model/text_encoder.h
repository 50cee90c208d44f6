// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/model/added_tokens.h"
#include "worker/model/character_symbols.h"
#include "worker/model/merge_table.h"
#include "worker/model/normalizer.h"
#include "worker/model/piece_splitter.h"
#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// Text to tokens: added tokens, normalization, pieces, merges. Immutable; usable from any thread.
class TextEncoder {
 public:
  static Result<TextEncoder> Create(const TokenizerDescription& description);

  /// See Tokenizer::Encode.
  Result<std::vector<TokenId>> Encode(std::string_view text) const;

 private:
  class Run;

  TextEncoder(const TokenizerDescription& description, PieceSplitter splitter);
  Status AddAddedTokens(const TokenizerDescription& description);

  Normalizer normalizer_;
  std::optional<SpaceMarkRule> space_mark_;
  PieceSplitter splitter_;
  MergeTable merges_;
  std::array<TokenId, 256> byte_tokens_;
  std::optional<CharacterSymbols> characters_;  // none: symbols are bytes
  /// Pieces that are tokens without merging; empty unless the file says so.
  std::unordered_map<std::string, TokenId> whole_pieces_;
  AddedTokenMatcher raw_added_;
  AddedTokenMatcher normalized_added_;
};

}  // namespace tyllm::model
