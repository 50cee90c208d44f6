// SPDX-License-Identifier: Apache-2.0
#include "worker/model/tokenizer_json.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "common/format/json.h"
#include "common/format/json_nesting.h"
#include "worker/model/tokenizer_file.h"
#include "worker/model/tokenizer_kinds.h"
#include "worker/model/tokenizer_parts.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

namespace {

using format::FromJson;
using format::Json;
// The vocabulary has 150,000 keys, and insertion into an object that keeps its order searches it
// from the front. So the file is read into this type, and its small parts become Json afterwards.
using BigJson = nlohmann::json;

// The kind that a file is, by what it says of bytes.
const TokenizerKind& KindOf(const tokenizer_file::Model& model) {
  for (const TokenizerKind* const kind : kTokenizerKinds) {
    if (kind->byte_fallback == model.byte_fallback.value_or(false)) {
      return *kind;
    }
  }
  return kByteLevelKind;
}

// Reads one tokenizer.json into a description.
class Reader {
 public:
  explicit Reader(std::string_view what) : what_(what) {}

  Result<TokenizerDescription> Read(BigJson& file) {
    if (!file.is_object() || !file.contains("model") || !file["model"].is_object()) {
      return InvalidArgument(what_ + " has no object 'model'; it is no tokenizer.json");
    }
    const BigJson vocabulary = Taken(file["model"], "vocab");
    const BigJson merges = Taken(file["model"], "merges");
    TYLLM_ASSIGN(const auto parts, FromJson<tokenizer_file::Tokenizer>(Json(file), what_));
    TYLLM_TRY(ReadModel(parts.model));
    TYLLM_TRY(ReadNormalizer(parts.normalizer, At("normalizer")));
    TYLLM_TRY(kind_->read_pre_tokenizer(parts.pre_tokenizer, At("pre_tokenizer"), out_));
    TYLLM_TRY(kind_->read_decoder(parts.decoder, At("decoder"), out_));
    TYLLM_TRY(ReadVocabulary(vocabulary));
    TYLLM_TRY(ReadMerges(merges));
    TYLLM_TRY(ReadAddedTokens(parts.added_tokens));
    return std::move(out_);
  }

 private:
  static BigJson Taken(BigJson& object, const char* key) {
    BigJson value;
    if (const auto found = object.find(key); found != object.end()) {
      value = std::move(*found);
      object.erase(found);
    }
    return value;
  }

  std::string At(std::string_view key) const { return what_ + ": " + std::string(key); }

  Status ReadNormalizer(const Json& part, const std::string& what) {
    if (part.is_null()) {
      return OkStatus();
    }
    TYLLM_ASSIGN(const std::string type, TypeOf(part, what));
    if (type != "Sequence") {
      return ReadNormalizerStep(type, part, what);
    }
    if (!part.contains("normalizers") || !part["normalizers"].is_array()) {
      return InvalidArgument(what + " is a 'Sequence' without a list 'normalizers'; take the " +
                             "original model's file");
    }
    std::size_t i = 0;
    for (const Json& step : part["normalizers"]) {
      const std::string name = what + "[" + std::to_string(i++) + "]";
      TYLLM_ASSIGN(const std::string step_type, TypeOf(step, name));
      TYLLM_TRY(ReadNormalizerStep(step_type, step, name));
    }
    return OkStatus();
  }

  Status ReadNormalizerStep(const std::string& type, const Json& part, const std::string& what) {
    if (type == "NFC") {
      out_.normalizer.emplace_back(ComposeStep());
      return OkStatus();
    }
    if (type == "Prepend") {
      TYLLM_ASSIGN(const auto prepend, FromJson<tokenizer_file::Prepend>(part, what));
      TYLLM_TRY(CheckInsertion(prepend.prepend, what + ".prepend"));
      out_.normalizer.emplace_back(PrependStep{prepend.prepend});
      return OkStatus();
    }
    if (type == "Replace") {
      TYLLM_ASSIGN(ReplaceStep replace, ReadReplace(part, what));
      out_.normalizer.emplace_back(std::move(replace));
      return OkStatus();
    }
    return Unsupported(what, Quoted(type),
                       "none, 'NFC', 'Prepend', 'Replace' and a 'Sequence' of these");
  }

  Status ReadModel(const Json& part) {
    TYLLM_ASSIGN(const auto model, FromJson<tokenizer_file::Model>(part, At("model")));
    if (model.type != "BPE" && !model.type.empty()) {  // old files say nothing
      return Unsupported(At("model.type"), Quoted(model.type), "'BPE'");
    }
    if (model.dropout.value_or(0.0) != 0.0) {
      return Unsupported(At("model.dropout"), std::to_string(*model.dropout), "none");
    }
    if (!model.continuing_subword_prefix.value_or("").empty()) {
      return Unsupported(At("model.continuing_subword_prefix"),
                         Quoted(*model.continuing_subword_prefix), "none");
    }
    if (!model.end_of_word_suffix.value_or("").empty()) {
      return Unsupported(At("model.end_of_word_suffix"), Quoted(*model.end_of_word_suffix), "none");
    }
    out_.ignore_merges = model.ignore_merges.value_or(false);
    kind_ = &KindOf(model);
    out_.symbols = kind_->symbols;
    return OkStatus();
  }

  Status CheckId(std::string_view token, const BigJson& id) const {
    if (id.is_number_integer() && (id.is_number_unsigned() || id.get<std::int64_t>() >= 0) &&
        id.get<std::uint64_t>() < kTokenLimit) {
      return OkStatus();
    }
    return InvalidArgument(
        At("token ") + Quoted(token) + " has the id " +
        id.dump(-1, ' ', false, BigJson::error_handler_t::replace).substr(0, 40) +
        ", expected a whole number from 0 to " + std::to_string(kTokenLimit - 1));
  }

  Status ReadVocabulary(const BigJson& vocabulary) {
    if (!vocabulary.is_object() || vocabulary.empty()) {
      return InvalidArgument(At("model.vocab") + " is missing or empty, expected an object of ids");
    }
    ids_.reserve(vocabulary.size());
    out_.vocabulary.reserve(vocabulary.size());
    for (const auto& [text, id] : vocabulary.items()) {
      TYLLM_TRY(CheckId(text, id));
      out_.vocabulary.push_back({kind_->text_of(text), id.get<TokenId>()});
      TYLLM_TRY(Claim(out_.vocabulary.back().id, text));
      ids_.emplace(text, id.get<TokenId>());
    }
    return FindByteTokens();
  }

  Status FindByteTokens() {
    for (std::size_t byte = 0; byte < out_.byte_tokens.size(); ++byte) {
      const std::string token = kind_->byte_token(static_cast<std::uint8_t>(byte));
      const auto found = ids_.find(token);
      if (found == ids_.end()) {
        return InvalidArgument(At("model.vocab") + " has no token for byte " +
                               std::to_string(byte) + " ('" + token +
                               "'), so some text has no tokens; it is no vocabulary of a tokenizer "
                               "that is " +
                               std::string(kind_->name) + ": take the original model's file");
      }
      out_.byte_tokens[byte] = found->second;
    }
    return OkStatus();
  }

  // Every id is one token's.
  Status Claim(TokenId id, std::string_view text) {
    const auto [it, is_new] = owner_.emplace(id, text);
    if (is_new || it->second == text) {
      return OkStatus();
    }
    return InvalidArgument(At("tokens ") + Quoted(it->second) + " and " + Quoted(text) +
                           " both have the id " + std::to_string(id));
  }

  Status ReadMerges(const BigJson& merges) {
    if (!merges.is_array()) {
      return InvalidArgument(At("model.merges") + " is missing, expected a list of pairs");
    }
    out_.merges.reserve(merges.size());
    std::string text;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      std::string_view left;
      std::string_view right;
      if (!SplitMerge(merges[i], left, right)) {
        return InvalidArgument(At("model.merges[") + std::to_string(i) +
                               "] is no pair, expected \"a b\" or [\"a\", \"b\"]");
      }
      if (left.empty() || right.empty()) {
        return InvalidArgument(At("model.merges[") + std::to_string(i) + "] joins " + Quoted(left) +
                               " and " + Quoted(right) + ", expected two texts that are not empty");
      }
      text.assign(left).append(right);
      const auto l = ids_.find(std::string(left));
      const auto r = ids_.find(std::string(right));
      const auto result = ids_.find(text);
      if (l == ids_.end() || r == ids_.end() || result == ids_.end()) {
        return InvalidArgument(
            At("model.merges[") + std::to_string(i) + "] joins " + Quoted(left) + " and " +
            Quoted(right) + ", which are not all tokens of model.vocab (nor " + Quoted(text) + ")");
      }
      out_.merges.push_back({l->second, r->second, result->second});
    }
    return OkStatus();
  }

  static bool SplitMerge(const BigJson& merge, std::string_view& left, std::string_view& right) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get_ref<const std::string&>();
      right = merge[1].get_ref<const std::string&>();
      return true;
    }
    if (!merge.is_string()) {
      return false;
    }
    const std::string_view text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      return false;
    }
    left = text.substr(0, space);
    right = text.substr(space + 1);
    return true;
  }

  Status ReadAddedTokens(const std::vector<Json>& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string what = At("added_tokens[") + std::to_string(i) + "]";
      TYLLM_ASSIGN(const auto token, FromJson<tokenizer_file::AddedToken>(
                                         tokens[i], what, format::UnknownKeys::kIgnore));
      if (token.content.empty() || ValidUtf8Prefix(token.content) != token.content.size()) {
        return InvalidArgument(what + ".content is empty, expected text");
      }
      TYLLM_TRY(CheckId(token.content, token.id));
      TYLLM_TRY(Claim(token.id, token.content));
      if (const auto known = ids_.find(token.content);
          known != ids_.end() && known->second != token.id) {
        return InvalidArgument(what + " " + Quoted(token.content) + " has the id " +
                               std::to_string(token.id) + ", but in model.vocab it has " +
                               std::to_string(known->second));
      }
      out_.added.push_back({token.id, token.content, token.normalized, token.special,
                            token.single_word, token.lstrip, token.rstrip});
    }
    return OkStatus();
  }

  std::string what_;
  const TokenizerKind* kind_ = &kByteLevelKind;
  TokenizerDescription out_;
  std::unordered_map<std::string, TokenId> ids_;  // by the text of the file
  std::unordered_map<TokenId, std::string> owner_;
};

}  // namespace

Result<TokenizerDescription> ParseTokenizerJson(std::string_view text, std::string_view what) {
  TYLLM_TRY(format::CheckNesting(text, what));
  try {
    BigJson file = BigJson::parse(text);
    return Reader(what).Read(file);
  } catch (const BigJson::exception& error) {
    return InvalidArgument(std::string(what) + " is not valid JSON: " + error.what() +
                           "; fix or replace the file");
  }
}

}  // namespace tyllm::model
