// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/format/json.h"
#include "worker/model/byte_token.h"

namespace tyllm::testing {

/// The tokenizer.json of a small BPE with byte fallback: token i is byte i, 256 <unk>, 257 <s> and
/// 258 </s> (special), 259 "\u2581" (a space), 260 to 285 the letters, 286 "he", 287 "ll",
/// 288 "hell", 289 "\u2581w", 290 "\u2581\u2581", 291 <|end|> (special, takes white space behind it
/// along). The rules of Llama 2.
inline format::Json FallbackTokenizerJson() {
  using format::Json;
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[model::ByteTokenOf(static_cast<std::uint8_t>(byte))] = byte;
  }
  vocabulary["<unk>"] = 256;
  vocabulary["<s>"] = 257;
  vocabulary["</s>"] = 258;
  vocabulary["\u2581"] = 259;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary[std::string(1, letter)] = 260 + (letter - 'a');
  }
  vocabulary["he"] = 286;
  vocabulary["ll"] = 287;
  vocabulary["hell"] = 288;
  vocabulary["\u2581w"] = 289;
  vocabulary["\u2581\u2581"] = 290;
  const Json mark = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  const Json space = {{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
  return {
      {"version", "1.0"},
      {"added_tokens",
       {{{"id", 256}, {"content", "<unk>"}, {"special", true}},
        {{"id", 257}, {"content", "<s>"}, {"special", true}},
        {{"id", 258}, {"content", "</s>"}, {"special", true}},
        {{"id", 291}, {"content", "<|end|>"}, {"rstrip", true}, {"special", true}}}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers", {{{"type", "Prepend"}, {"prepend", "\u2581"}}, mark}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor", nullptr},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {space,
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocabulary},
        {"merges", {"h e", "l l", "he ll", "\u2581 w", "\u2581 \u2581"}}}},
  };
}

}  // namespace tyllm::testing
