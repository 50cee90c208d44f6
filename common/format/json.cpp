// SPDX-License-Identifier: Apache-2.0
#include "common/format/json.h"

#include <cstddef>
#include <unordered_map>

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

/// Makes a Json in time that grows as the text does. The library's own way looks through all keys
/// of an object for each new one.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Json Take() { return std::move(root_); }

  /// What is not JSON, with line and column.
  const std::string& error() const { return error_; }

  bool null() override { return Put(nullptr); }

  bool boolean(bool value) override { return Put(value); }

  bool number_integer(number_integer_t value) override { return Put(value); }

  bool number_unsigned(number_unsigned_t value) override { return Put(value); }

  bool number_float(number_float_t value, const string_t&) override { return Put(value); }

  bool string(string_t& value) override { return Put(std::move(value)); }

  bool binary(binary_t& value) override { return Put(std::move(value)); }

  bool start_object(std::size_t) override { return Open(Json::object()); }

  bool start_array(std::size_t) override { return Open(Json::array()); }

  bool end_object() override { return Close(); }

  bool end_array() override { return Close(); }

  /// A key that was there: its place stays, its value is replaced.
  bool key(string_t& name) override {
    Level& level = open_.back();
    Json::object_t::Container& members = level.value->get_ref<Json::object_t&>();
    const auto [known, is_new] = level.places.emplace(name, members.size());
    if (is_new) {
      members.emplace_back(std::move(name), Json());
    }
    member_ = &members[known->second].second;
    return true;
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    error_ = error.what();
    return false;
  }

 private:
  /// An object or a list whose end has not come.
  struct Level {
    Json* value = nullptr;
    std::unordered_map<std::string, std::size_t> places;  ///< of an object's keys
  };

  Json& Place(Json value) {
    if (open_.empty()) {
      return root_ = std::move(value);
    }
    if (open_.back().value->is_object()) {
      return *member_ = std::move(value);
    }
    auto& elements = open_.back().value->get_ref<Json::array_t&>();
    return elements.emplace_back(std::move(value));
  }

  bool Put(Json value) {
    Place(std::move(value));
    return true;
  }

  bool Open(Json empty) {
    open_.push_back({&Place(std::move(empty)), {}});
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Level> open_;
  Json* member_ = nullptr;  ///< that the next value is for
  std::string error_;
};

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
  Builder builder;
  if (!Json::sax_parse(text, &builder)) {
    return InvalidArgument(std::string(what) + " is not valid JSON: " + builder.error() +
                           "; fix or replace the file");
  }
  return builder.Take();
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
