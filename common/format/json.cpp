// SPDX-License-Identifier: Apache-2.0
#include "common/format/json.h"

namespace tyllm::format {

Result<Json> ParseJson(std::string_view text, std::string_view what) {
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
