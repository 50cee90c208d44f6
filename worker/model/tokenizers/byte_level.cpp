// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <utility>

#include "worker/model/byte_alphabet.h"
#include "worker/model/tokenizer_kinds.h"
#include "worker/model/tokenizer_parts.h"

// GPT-2's tokenizers, and those of Qwen and Llama 3: tokens are sequences of bytes, which the file
// spells with a printable stand-in for each.
namespace tyllm::model {

namespace {

struct ByteLevelPart {
  std::string type;
  bool add_prefix_space = true;
  bool trim_offsets = true;  // about offsets, which we do not give
  bool use_regex = true;
};

struct SplitPart {
  std::string type;
  format::Json pattern;
  std::string behavior;
  bool invert = false;
};

}  // namespace

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::ByteLevelPart> {
  using T = tyllm::model::ByteLevelPart;
  static constexpr auto kTable = std::tuple{
      Member{"type", &T::type, true},
      Member{"add_prefix_space", &T::add_prefix_space},
      Member{"trim_offsets", &T::trim_offsets},
      Member{"use_regex", &T::use_regex},
  };
};

template <>
struct tyllm::format::Members<tyllm::model::SplitPart> {
  using T = tyllm::model::SplitPart;
  static constexpr auto kTable = std::tuple{
      Member{"type", &T::type, true},
      Member{"pattern", &T::pattern, true},
      Member{"behavior", &T::behavior, true},
      Member{"invert", &T::invert},
  };
};

namespace tyllm::model {

namespace {

using format::FromJson;
using format::Json;

// GPT-2's pattern, which a ByteLevel with `use_regex` applies.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Status ReadSplit(const Json& part, const std::string& what, TokenizerDescription& out) {
  TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
  if (type != "Split") {
    return Unsupported(what, Quoted(type), "'Split' before a last 'ByteLevel'");
  }
  TYLLM_ASSIGN(const auto split, FromJson<SplitPart>(part, what));
  if (split.behavior != "Isolated" || split.invert) {
    return Unsupported(what, Quoted(split.behavior) + (split.invert ? " inverted" : ""),
                       "behavior 'Isolated', not inverted");
  }
  TYLLM_ASSIGN(SplitRule rule, ReadPattern(split.pattern, what + ".pattern"));
  out.splits.push_back(std::move(rule));
  return OkStatus();
}

Status ReadByteLevel(const Json& part, const std::string& what, TokenizerDescription& out) {
  TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
  if (type != "ByteLevel") {
    return Unsupported(what, Quoted(type), "'ByteLevel' as the last step");
  }
  TYLLM_ASSIGN(const auto level, FromJson<ByteLevelPart>(part, what));
  if (level.add_prefix_space) {
    return Unsupported(what + ".add_prefix_space", "true", "false");
  }
  if (level.use_regex) {
    out.splits.push_back({std::string(kByteLevelPattern), false});
  }
  return OkStatus();
}

Status ReadPreTokenizer(const Json& part, const std::string& what, TokenizerDescription& out) {
  constexpr std::string_view kRead =
      "'ByteLevel', and 'Sequence' that ends with it, where model.byte_fallback is not true";
  if (part.is_null()) {
    return Unsupported(what, "null", kRead);
  }
  TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
  if (type == "ByteLevel") {
    return ReadByteLevel(part, what, out);
  }
  if (type != "Sequence" || !part.contains("pretokenizers") || !part["pretokenizers"].is_array() ||
      part["pretokenizers"].empty()) {
    return Unsupported(what, Quoted(type), kRead);
  }
  const Json& steps = part["pretokenizers"];
  const auto name = [&](std::size_t i) { return what + "[" + std::to_string(i) + "]"; };
  for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
    TYLLM_TRY(ReadSplit(steps[i], name(i), out));
  }
  return ReadByteLevel(steps.back(), name(steps.size() - 1), out);
}

Status CheckDecoder(const Json& part, const std::string& what, TokenizerDescription& /*out*/) {
  TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
  return type == "ByteLevel"
             ? OkStatus()
             : Unsupported(what, Quoted(type), "'ByteLevel' where model.byte_fallback is not true");
}

std::string TextOf(const std::string& token) {
  std::optional<std::string> bytes = BytesOfStandIns(token);
  return bytes ? *std::move(bytes) : token;
}

}  // namespace

const TokenizerKind kByteLevelKind{.name = "byte-level",
                                   .byte_fallback = false,
                                   .symbols = Symbols::kBytes,
                                   .read_pre_tokenizer = ReadPreTokenizer,
                                   .read_decoder = CheckDecoder,
                                   .byte_token = StandInOf,
                                   .text_of = TextOf};

}  // namespace tyllm::model
