// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <span>
#include <utility>

#include "worker/model/byte_token.h"
#include "worker/model/tokenizer_kinds.h"
#include "worker/model/tokenizer_parts.h"
#include "worker/model/utf8.h"

// SentencePiece's BPE as it is converted for Hugging Face tokenizers: Llama 2, TinyLlama, the first
// three Mistral-7B, Phi-3. Tokens are characters, a mark (U+2581) stands for the space, and a
// character that is no token becomes the tokens of its bytes.
namespace tyllm::model {

namespace {

struct MetaspacePart {
  std::string type;
  std::string replacement;
  std::optional<std::string> str_rep;    // the replacement once more
  std::optional<bool> add_prefix_space;  // false: prepend_scheme is "never"
  std::optional<MarkInFront> prepend_scheme;
  std::optional<bool> split;
};

struct StripPart {
  std::string type;
  std::string content;
  std::int64_t start = 0;
  std::int64_t stop = 0;
};

}  // namespace

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::MetaspacePart> {
  using T = tyllm::model::MetaspacePart;
  static constexpr auto kTable = std::tuple{
      Member{"type", &T::type, true},
      Member{"replacement", &T::replacement, true},
      Member{"str_rep", &T::str_rep},
      Member{"add_prefix_space", &T::add_prefix_space},
      Member{"prepend_scheme", &T::prepend_scheme},
      Member{"split", &T::split},
  };
};

template <>
struct tyllm::format::Members<tyllm::model::StripPart> {
  using T = tyllm::model::StripPart;
  static constexpr auto kTable = std::tuple{
      Member{"type", &T::type, true},
      Member{"content", &T::content, true},
      Member{"start", &T::start, true},
      Member{"stop", &T::stop, true},
  };
};

namespace tyllm::model {

namespace {

using format::FromJson;
using format::Json;

constexpr std::string_view kDecoders =
    "'Metaspace', and a 'Sequence' of one 'Replace', 'ByteFallback', 'Fuse' and, where one leading "
    "space goes, 'Strip', in this order, where model.byte_fallback is true";

Result<SpaceMarkRule> ReadMetaspace(const Json& part, const std::string& what) {
  TYLLM_ASSIGN(const auto space, FromJson<MetaspacePart>(part, what));
  if (space.replacement.empty() ||
      FirstUtf8Unit(space.replacement).length != space.replacement.size()) {
    return InvalidArgument(what + ".replacement is " + Quoted(space.replacement) +
                           ", expected one character; take the original model's file");
  }
  MarkInFront in_front = space.prepend_scheme.value_or(MarkInFront::kAlways);
  if (!space.add_prefix_space.value_or(true)) {
    if (space.prepend_scheme.value_or(MarkInFront::kNever) != MarkInFront::kNever) {
      return InvalidArgument(what + ".add_prefix_space is false and prepend_scheme " +
                             Quoted(kMarkInFrontNames.Name(in_front)) +
                             ", expected 'never'; take the original model's file");
    }
    in_front = MarkInFront::kNever;
  }
  return SpaceMarkRule{space.replacement, in_front, space.split.value_or(true)};
}

Status ReadPreTokenizer(const Json& part, const std::string& what, TokenizerDescription& out) {
  if (part.is_null()) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
  if (type != "Metaspace") {
    return Unsupported(what, Quoted(type),
                       "none and 'Metaspace' where model.byte_fallback is true");
  }
  TYLLM_ASSIGN(out.space_mark, ReadMetaspace(part, what));
  return OkStatus();
}

Status ReadStrip(const Json& part, const std::string& what, TokenizerDescription& out) {
  TYLLM_ASSIGN(const auto strip, FromJson<StripPart>(part, what));
  if (strip.content != " " || strip.start < 0 || strip.start > 1 || strip.stop != 0) {
    return Unsupported(what,
                       "content " + Quoted(strip.content) + ", start " +
                           std::to_string(strip.start) + ", stop " + std::to_string(strip.stop),
                       "content ' ', start 0 or 1, stop 0");
  }
  out.decoding.leading = strip.start == 1 ? LeadingSpace::kOneGoes : LeadingSpace::kStays;
  return OkStatus();
}

Status ReadDecoderSteps(const Json& steps, const std::string& what, TokenizerDescription& out) {
  std::size_t i = 0;
  const auto name = [&] { return what + "[" + std::to_string(i) + "]"; };
  // The type of the step at hand; empty behind the last one.
  const auto type = [&]() -> Result<std::string> {
    return i < steps.size() ? TypeOf(steps[i], name()) : Result<std::string>(std::string());
  };
  TYLLM_ASSIGN(std::string step, type());
  if (step == "Replace") {
    TYLLM_ASSIGN(out.decoding.mark, ReadReplace(steps[i], name()));
    ++i;
    TYLLM_ASSIGN(step, type());
  }
  for (const std::string_view needed : {"ByteFallback", "Fuse"}) {
    if (step != needed) {
      return Unsupported(name(), step.empty() ? "missing" : Quoted(step), kDecoders);
    }
    ++i;
    TYLLM_ASSIGN(step, type());
  }
  out.decoding.byte_tokens = true;
  if (step == "Strip") {
    TYLLM_TRY(ReadStrip(steps[i], name(), out));
    ++i;
    TYLLM_ASSIGN(step, type());
  }
  return step.empty() ? OkStatus() : Unsupported(name(), Quoted(step), kDecoders);
}

Status ReadDecoder(const Json& part, const std::string& what, TokenizerDescription& out) {
  TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
  if (type == "Metaspace") {
    TYLLM_ASSIGN(const SpaceMarkRule rule, ReadMetaspace(part, what));
    out.decoding.mark = ReplaceStep{rule.mark, " "};
    out.decoding.leading =
        rule.in_front == MarkInFront::kNever ? LeadingSpace::kStays : LeadingSpace::kFirstTokenGoes;
    return OkStatus();
  }
  if (type != "Sequence" || !part.contains("decoders") || !part["decoders"].is_array()) {
    return Unsupported(what, Quoted(type), kDecoders);
  }
  return ReadDecoderSteps(part["decoders"], what, out);
}

std::string TextOf(const std::string& token) {
  return token;
}

}  // namespace

const TokenizerKind kByteFallbackKind{.name = "byte fallback",
                                      .byte_fallback = true,
                                      .symbols = Symbols::kCharacters,
                                      .read_pre_tokenizer = ReadPreTokenizer,
                                      .read_decoder = ReadDecoder,
                                      .byte_token = ByteTokenOf,
                                      .text_of = TextOf};

}  // namespace tyllm::model
