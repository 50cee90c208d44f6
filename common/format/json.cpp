// SPDX-License-Identifier: Apache-2.0
#include "common/format/json.h"

#include "common/format/json_nesting.h"

namespace tyllm::format {

namespace {

/// Copying and printing a value recurse; no file of ours or of a model comes near this.
constexpr int kDeepest = 500;

/// Whether brackets outside of strings nest deeper than that. The text need not be JSON.
bool IsTooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      i += c == '\\' ? 1 : 0;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) {
        return true;
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Status CheckNesting(std::string_view text, std::string_view what) {
  if (!IsTooDeep(text)) {
    return OkStatus();
  }
  return InvalidArgument(std::string(what) + " nests lists and objects more than " +
                         std::to_string(kDeepest) + " deep; fix or replace the file");
}

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  TYLLM_TRY(CheckNesting(text, what));
  // The exception carries line and column, which the non-throwing overload does not.
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    return InvalidArgument(std::string(what) + " is not valid JSON: " + error.what() +
                           "; fix or replace the file");
  }
}

Result<Json> ReadJsonFile(const Path& path) {
  TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(path));
  return ParseJson(text, path.string());
}

std::string PrettyJson(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string CompactJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view KindOf(const Json& json) {
  if (json.is_object()) {
    return "an object";
  }
  if (json.is_array()) {
    return "a list";
  }
  if (json.is_string()) {
    return "text";
  }
  if (json.is_number()) {
    return "the number";
  }
  if (json.is_boolean()) {
    return "the value";
  }
  return "null";
}

Status WrongKind(std::string_view what, const Json& json, std::string_view expected) {
  std::string message(what);
  message += " is ";
  message += KindOf(json);
  if (json.is_primitive() && !json.is_null()) {
    message += " " + CompactJson(json).substr(0, 80);
  }
  message += ", expected ";
  message += expected;
  return InvalidArgument(std::move(message));
}

}  // namespace tyllm::format
