// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/format/json.h"
#include "worker/model/byte_alphabet.h"

namespace tyllm::testing {

/// The tokenizer.json of a small byte-level BPE: token i is byte i, 256 "he", 257 "ll", 258 "hell",
/// 259 " w", 260 <|end|> (special), 261 <tool>. The rules of Qwen 3 without NFC.
inline format::Json ByteTokenizerJson() {
  format::Json vocabulary = format::Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[model::StandInOf(static_cast<std::uint8_t>(byte))] = byte;
  }
  const std::string w = model::StandInOf(' ') + "w";
  vocabulary["he"] = 256;
  vocabulary["ll"] = 257;
  vocabulary["hell"] = 258;
  vocabulary[w] = 259;
  constexpr const char* kPattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const format::Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return {
      {"version", "1.0"},
      {"added_tokens",
       {{{"id", 260}, {"content", "<|end|>"}, {"normalized", false}, {"special", true}},
        {{"id", 261}, {"content", "<tool>"}, {"normalized", true}, {"special", false}}}},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"},
           {"pattern", {{"Regex", kPattern}}},
           {"behavior", "Isolated"},
           {"invert", false}},
          byte_level}}}},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"ignore_merges", false},
        {"vocab", vocabulary},
        {"merges", {"h e", "l l", "he ll", model::StandInOf(' ') + " w"}}}},
  };
}

}  // namespace tyllm::testing
