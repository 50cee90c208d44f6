// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/enum_table.h"
#include "worker/model/tokenizer.h"

/// What of a tokenizer.json matters, as data: tokenizer_json.h reads it, TextEncoder and TokenBytes
/// act on it.
namespace tyllm::model {

/// A token of tokenizer.json's `added_tokens`: found in the text before anything else is done.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool normalized = false;   ///< looked for in the normalized text rather than in the raw one
  bool special = false;      ///< left out of decoded text
  bool single_word = false;  ///< only where no letter, mark, digit or underscore touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space behind it along
};

/// Unicode normalization form C.
struct ComposeStep {};

/// Before every text that is not empty.
struct PrependStep {
  std::string text;
};

/// All occurrences of a literal text, which is not empty.
struct ReplaceStep {
  std::string pattern;
  std::string content;
};

using NormalizerStep = std::variant<ComposeStep, PrependStep, ReplaceStep>;

/// One `Split` of the pre-tokenizer, behaviour "Isolated": matches and what lies between them are
/// pieces.
struct SplitRule {
  std::string pattern;
  bool literal = false;  ///< the pattern is text, not a regular expression
};

enum class MarkInFront : std::uint8_t {
  kFirst,   ///< of the text's beginning
  kAlways,  ///< of whatever stands between added tokens
  kNever,
};

inline constexpr EnumTable<MarkInFront, 3> kMarkInFrontNames("prepend_scheme",
                                                             {{{MarkInFront::kFirst, "first"},
                                                               {MarkInFront::kAlways, "always"},
                                                               {MarkInFront::kNever, "never"}}});

constexpr const auto& NamesOf(MarkInFront) {
  return kMarkInFrontNames;
}

/// The pre-tokenizer `Metaspace`: spaces become a mark, which is put in front too where there is
/// none.
struct SpaceMarkRule {
  std::string mark;  ///< one character
  MarkInFront in_front = MarkInFront::kAlways;
  bool split = true;  ///< every mark begins a piece
};

/// What a piece of text is made of before anything merges.
enum class Symbols : std::uint8_t {
  kBytes,       ///< its bytes
  kCharacters,  ///< its characters; the bytes of those that are no token
};

/// Tokens to text.
struct DecodingRule {
  std::optional<ReplaceStep> mark;  ///< replaced in every token's text
  bool byte_tokens = false;         ///< "<0x0A>" is that byte
  LeadingSpace leading = LeadingSpace::kStays;
};

struct VocabularyEntry {
  std::string text;  ///< of bytes (Symbols::kBytes) or as it stands in the file
  TokenId id = 0;
};

/// Two tokens next to each other that become one. Earlier rules win.
struct MergeRule {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
};

/// Checked: ids are unique and below kTokenLimit, every byte has a token, merges are between tokens
/// of the vocabulary.
struct TokenizerDescription {
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitRule> splits;
  std::optional<SpaceMarkRule> space_mark;
  Symbols symbols = Symbols::kBytes;
  std::array<TokenId, 256> byte_tokens{};
  bool ignore_merges = false;  ///< a piece that is a token needs no merging
  std::vector<VocabularyEntry> vocabulary;
  std::vector<MergeRule> merges;
  std::vector<AddedToken> added;
  DecodingRule decoding;
};

/// What is put before a text or in a pattern's place is no longer than this, in bytes.
inline constexpr std::size_t kLongestInsertion = 64;

/// Ids are below this: tables are as long as the largest id.
inline constexpr TokenId kTokenLimit = 1 << 22;

}  // namespace tyllm::model
