// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "worker/model/hub_config.h"

namespace tyllm::quant {

/// The tokenizer of a made-up model: byte-level BPE without merges, so that text is one token a
/// byte (ids 0 to 255); then the special tokens of ChatML and of images; every other id of the
/// vocabulary is a word " w<id>" of its own, which no text gives and which can be decoded.
/// Vocabularies from 263 on.
struct MadeTokenizer {
  model::SpecialTokens special;
  /// tokenizer.json, tokenizer_config.json, generation_config.json and chat_template.jinja.
  std::map<std::string, std::string> files;
};

inline constexpr std::int64_t kSmallestMadeVocabulary = 263;

MadeTokenizer MakeTokenizer(std::int64_t vocabulary);

}  // namespace tyllm::quant
