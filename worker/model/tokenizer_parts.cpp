// SPDX-License-Identifier: Apache-2.0
#include "worker/model/tokenizer_parts.h"

#include "worker/model/tokenizer_file.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

using format::FromJson;
using format::Json;

Status Unsupported(std::string_view what, std::string_view found, std::string_view supported) {
  return Unimplemented(std::string(what) + " is " + std::string(found) +
                       ", which is not supported; supported: " + std::string(supported) +
                       ". Only BPE is read, byte-level or with byte fallback: `tyllm quantize "
                       "--method rtn` needs no text and so no tokenizer, awq and awq+gptq need one "
                       "of these");
}

std::string Quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, ValidUtf8Prefix(text.substr(0, 60)))) + "'";
}

Result<std::string> TypeOf(const Json& part, std::string_view what) {
  if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
    return format::WrongKind(what, part, "an object with a text 'type'");
  }
  return part["type"].get<std::string>();
}

Result<SplitRule> ReadPattern(const Json& part, const std::string& what) {
  TYLLM_ASSIGN(const auto pattern, FromJson<tokenizer_file::Pattern>(part, what));
  if (pattern.regex.has_value() == pattern.text.has_value()) {
    return InvalidArgument(what + " must have either 'Regex' or 'String'");
  }
  return SplitRule{pattern.regex ? *pattern.regex : *pattern.text, pattern.text.has_value()};
}

Status CheckInsertion(std::string_view text, std::string_view what) {
  if (text.size() <= kLongestInsertion) {
    return OkStatus();
  }
  return InvalidArgument(std::string(what) + " has " + std::to_string(text.size()) +
                         " bytes, expected at most " + std::to_string(kLongestInsertion) +
                         "; take the original model's file");
}

Result<ReplaceStep> ReadReplace(const Json& part, const std::string& what) {
  TYLLM_ASSIGN(const auto replace, FromJson<tokenizer_file::Replace>(part, what));
  TYLLM_ASSIGN(const SplitRule rule, ReadPattern(replace.pattern, what + ".pattern"));
  if (!rule.literal) {
    return Unsupported(what + ".pattern", "a regular expression", "'String'");
  }
  if (rule.pattern.empty()) {
    return InvalidArgument(what + ".pattern is empty, expected the text that is replaced");
  }
  TYLLM_TRY(CheckInsertion(replace.content, what + ".content"));
  return ReplaceStep{rule.pattern, replace.content};
}

}  // namespace tyllm::model
