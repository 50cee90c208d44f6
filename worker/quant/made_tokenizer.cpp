// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/made_tokenizer.h"

#include <array>
#include <string_view>

#include "common/format/json.h"
#include "worker/model/byte_alphabet.h"

namespace tyllm::quant {

namespace {

using format::Json;

constexpr std::array<std::string_view, 7> kSpecial = {
    "<|endoftext|>",  "<|im_start|>",  "<|im_end|>",   "<|vision_start|>",
    "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"};
constexpr std::int64_t kFirstSpecial = 256;
static_assert(kFirstSpecial + std::ssize(kSpecial) == kSmallestMadeVocabulary);

/// Qwen's.
constexpr std::string_view kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}";

/// By hand: an object of Json looks each new key up among all others.
std::string Vocabulary(std::int64_t size) {
  std::string text = "{";
  const auto add = [&](const std::string& token, std::int64_t id) {
    text += (id == 0 ? "" : ",") + format::CompactJson(Json(token)) + ":" + std::to_string(id);
  };
  for (int byte = 0; byte < kFirstSpecial; ++byte) {
    add(model::StandInOf(static_cast<std::uint8_t>(byte)), byte);
  }
  for (std::size_t i = 0; i < kSpecial.size(); ++i) {
    add(std::string(kSpecial[i]), kFirstSpecial + static_cast<std::int64_t>(i));
  }
  const std::string space = model::StandInOf(' ');
  for (std::int64_t id = kSmallestMadeVocabulary; id < size; ++id) {
    add(space + "w" + std::to_string(id), id);
  }
  return text + "}";
}

Json AddedTokens() {
  Json tokens = Json::array();
  for (std::size_t i = 0; i < kSpecial.size(); ++i) {
    tokens.push_back({{"id", kFirstSpecial + static_cast<std::int64_t>(i)},
                      {"content", kSpecial[i]},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", true}});
  }
  return tokens;
}

std::string TokenizerJson(std::int64_t vocabulary) {
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", false},
                           {"use_regex", false}};
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", kPattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  Json file = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", AddedTokens()},
               {"normalizer", {{"type", "NFC"}}},
               {"pre_tokenizer",
                {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level})}}},
               {"post_processor", nullptr},
               {"decoder", byte_level}};
  const std::string model =
      R"({"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"",)"
      R"("end_of_word_suffix":"","fuse_unk":false,"byte_fallback":false,"ignore_merges":false,)"
      R"("vocab":)" +
      Vocabulary(vocabulary) + R"(,"merges":[]})";
  std::string text = format::CompactJson(file);
  text.pop_back();  // the closing brace
  return text + ",\"model\":" + model + "}\n";
}

}  // namespace

MadeTokenizer MakeTokenizer(std::int64_t vocabulary) {
  MadeTokenizer made;
  made.special = {kFirstSpecial, kFirstSpecial + 2, kFirstSpecial + 3};
  made.files["tokenizer.json"] = TokenizerJson(vocabulary);
  made.files["tokenizer_config.json"] = format::PrettyJson({{"tokenizer_class", "Qwen2Tokenizer"},
                                                            {"bos_token", nullptr},
                                                            {"eos_token", "<|im_end|>"},
                                                            {"pad_token", "<|endoftext|>"},
                                                            {"model_max_length", 131072}});
  made.files["generation_config.json"] =
      format::PrettyJson({{"bos_token_id", made.special.begin},
                          {"eos_token_id", {made.special.end, made.special.begin}},
                          {"do_sample", false}});
  made.files["chat_template.jinja"] = std::string(kChatMl);
  return made;
}

}  // namespace tyllm::quant
