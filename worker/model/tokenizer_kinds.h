// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/format/json.h"
#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// A kind of tokenizer.json, all of whose peculiarities are here: how text becomes symbols and how
/// tokens become text. What the kinds have in common is read in tokenizer_json.cpp.
struct TokenizerKind {
  std::string_view name;
  bool byte_fallback = false;  ///< `model.byte_fallback`, by which the kinds are told apart
  Symbols symbols = Symbols::kBytes;
  /// Reads `pre_tokenizer`. `what` names the part in messages, here and below.
  Status (*read_pre_tokenizer)(const format::Json& part, const std::string& what,
                               TokenizerDescription& out) = nullptr;
  /// Reads `decoder`.
  Status (*read_decoder)(const format::Json& part, const std::string& what,
                         TokenizerDescription& out) = nullptr;
  /// How the vocabulary spells the token of a byte: it must have all 256.
  std::string (*byte_token)(std::uint8_t byte) = nullptr;
  /// The text of a vocabulary's token as VocabularyEntry has it.
  std::string (*text_of)(const std::string& token) = nullptr;
};

extern const TokenizerKind kByteLevelKind;
extern const TokenizerKind kByteFallbackKind;

/// Every kind there is: the one list. `byte_fallback` is another in each.
inline constexpr std::array kTokenizerKinds{&kByteLevelKind, &kByteFallbackKind};

}  // namespace tyllm::model
