// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "worker/model/tokenizer.h"

namespace tyllm::model {

/// A token of tokenizer.json's `added_tokens`: found in the text before anything else is done.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool normalized = false;  ///< looked for in the normalized text rather than in the raw one
  bool special = false;
};

/// One `Split` of the pre-tokenizer, behaviour "Isolated": matches and what lies between them are
/// pieces.
struct SplitRule {
  std::string pattern;
  bool literal = false;  ///< the pattern is text, not a regular expression
};

struct VocabularyEntry {
  std::string bytes;  ///< what the token stands for
  TokenId id = 0;
};

/// Two tokens next to each other that become one. Earlier rules win.
struct MergeRule {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
};

/// What of a tokenizer.json matters, checked: ids are unique and below kTokenLimit, every byte has
/// a token, merges are between tokens of the vocabulary.
struct TokenizerDescription {
  bool nfc = false;
  std::vector<SplitRule> splits;
  bool ignore_merges = false;  ///< a piece that is a token needs no merging
  std::vector<VocabularyEntry> vocabulary;
  std::vector<MergeRule> merges;
  std::vector<AddedToken> added;
};

/// Ids are below this: tables are as long as the largest id.
inline constexpr TokenId kTokenLimit = 1 << 22;

/// `what` names the text in messages. What is not supported is an error that names it.
Result<TokenizerDescription> ParseTokenizerJson(std::string_view text, std::string_view what);

}  // namespace tyllm::model
