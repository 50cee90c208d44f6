// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/format/json.h"
#include "worker/model/tokenizer.h"

/// tokenizer.json as it stands in the file (docs/formats/tokenizer.md), before anything of it is
/// judged: one struct an object, one member table a struct.
namespace tyllm::model::tokenizer_file {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = false;
};

// `model` without its vocabulary and merges.
struct Model {
  std::string type;
  std::optional<double> dropout;
  std::optional<std::string> unk_token;
  std::optional<std::string> continuing_subword_prefix;
  std::optional<std::string> end_of_word_suffix;
  std::optional<bool> fuse_unk;  // about unknown characters: every one has tokens, of its bytes
  std::optional<bool> byte_fallback;
  std::optional<bool> ignore_merges;
};

struct Pattern {
  std::optional<std::string> regex;
  std::optional<std::string> text;
};

// Of a normalizer.
struct Prepend {
  std::string type;
  std::string prepend;
};

// Of a normalizer or a decoder.
struct Replace {
  std::string type;
  format::Json pattern;
  std::string content;
};

struct Tokenizer {
  std::string version;
  format::Json truncation;  // ours to do, not the file's
  format::Json padding;
  std::vector<format::Json> added_tokens;
  format::Json normalizer;
  format::Json pre_tokenizer;
  format::Json post_processor;  // adds tokens around the text, which Encode does not
  format::Json decoder;
  format::Json model;
};

}  // namespace tyllm::model::tokenizer_file

namespace tyllm::format {

template <>
struct Members<model::tokenizer_file::AddedToken> {
  using T = model::tokenizer_file::AddedToken;
  static constexpr auto kTable = std::tuple{
      Member{"id", &T::id, true},
      Member{"content", &T::content, true},
      Member{"single_word", &T::single_word},
      Member{"lstrip", &T::lstrip},
      Member{"rstrip", &T::rstrip},
      Member{"normalized", &T::normalized},
      Member{"special", &T::special},
  };
};

template <>
struct Members<model::tokenizer_file::Model> {
  using T = model::tokenizer_file::Model;
  static constexpr auto kTable = std::tuple{
      Member{"type", &T::type},
      Member{"dropout", &T::dropout},
      Member{"unk_token", &T::unk_token},
      Member{"continuing_subword_prefix", &T::continuing_subword_prefix},
      Member{"end_of_word_suffix", &T::end_of_word_suffix},
      Member{"fuse_unk", &T::fuse_unk},
      Member{"byte_fallback", &T::byte_fallback},
      Member{"ignore_merges", &T::ignore_merges},
  };
};

template <>
struct Members<model::tokenizer_file::Pattern> {
  using T = model::tokenizer_file::Pattern;
  static constexpr auto kTable = std::tuple{Member{"Regex", &T::regex}, Member{"String", &T::text}};
};

template <>
struct Members<model::tokenizer_file::Prepend> {
  using T = model::tokenizer_file::Prepend;
  static constexpr auto kTable =
      std::tuple{Member{"type", &T::type, true}, Member{"prepend", &T::prepend, true}};
};

template <>
struct Members<model::tokenizer_file::Replace> {
  using T = model::tokenizer_file::Replace;
  static constexpr auto kTable = std::tuple{
      Member{"type", &T::type, true},
      Member{"pattern", &T::pattern, true},
      Member{"content", &T::content, true},
  };
};

template <>
struct Members<model::tokenizer_file::Tokenizer> {
  using T = model::tokenizer_file::Tokenizer;
  static constexpr auto kTable = std::tuple{
      Member{"version", &T::version},
      Member{"truncation", &T::truncation},
      Member{"padding", &T::padding},
      Member{"added_tokens", &T::added_tokens},
      Member{"normalizer", &T::normalizer},
      Member{"pre_tokenizer", &T::pre_tokenizer, true},
      Member{"post_processor", &T::post_processor},
      Member{"decoder", &T::decoder, true},
      Member{"model", &T::model, true},
  };
};

}  // namespace tyllm::format
