// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/enum_table.h"
#include "common/base/file_system.h"

namespace tyllm::format {

/// Keys keep the order in which they were read or added, so that a model's files stay as they were.
using Json = nlohmann::ordered_json;

/// `what` names the text in messages. Duplicate keys: the last one wins, as everywhere.
Result<Json> ParseJson(std::string_view text, std::string_view what);
Result<Json> ReadJsonFile(const Path& path);
/// Two-space indentation and a final line break: for files that people read.
std::string PrettyJson(const Json& json);
/// One line, no line break at the end.
std::string CompactJson(const Json& json);

/// One row of a member table: a key and the member that it stands for.
template <typename Owner, typename Value>
struct Member {
  std::string_view key;
  Value Owner::* member;
  bool required = false;  ///< absent is an error; otherwise the member keeps its default
};

template <typename Owner, typename Value>
Member(std::string_view, Value Owner::*) -> Member<Owner, Value>;
template <typename Owner, typename Value>
Member(std::string_view, Value Owner::*, bool) -> Member<Owner, Value>;

/// Specialise for a struct to give it JSON both ways:
///
///   template <> struct Members<Point> {
///     static constexpr auto kTable = std::tuple{Member{"x", &Point::x, true}, Member{"y",
///     &Point::y}};
///   };
///
/// An enum takes part when `NamesOf(E)`, found by argument-dependent look-up, returns its
/// EnumTable.
template <typename T>
struct Members;

template <typename T>
concept HasMembers = requires { Members<T>::kTable; };
/// Ids and the like take part as text: `value.ToString()` and `T::Parse(text)`.
template <typename T>
concept TextForm = requires(const T& value, std::string_view text) {
  { value.ToString() } -> std::same_as<std::string>;
  { T::Parse(text) } -> std::same_as<Result<T>>;
};
template <typename T>
concept NamedEnum = std::is_enum_v<T> && requires(T e) { NamesOf(e).Name(e); };

enum class UnknownKeys : std::uint8_t {
  kReject,  ///< files and requests that people write
  kIgnore,  ///< other programs' files
};

template <typename T>
Json ToJson(const T& value);
template <typename T>
Status ReadInto(const Json& json, std::string_view what, UnknownKeys unknown, T& value);

/// `what` is the path of the value in messages, e.g. "config.json: rope_scaling".
template <typename T>
Result<T> FromJson(const Json& json, std::string_view what,
                   UnknownKeys unknown = UnknownKeys::kReject) {
  T value{};
  TYLLM_TRY(ReadInto(json, what, unknown, value));
  return value;
}

/// "a number", "text", ...: for messages.
std::string_view KindOf(const Json& json);
/// "<what> is <kind and short text>, expected <expected>".
Status WrongKind(std::string_view what, const Json& json, std::string_view expected);

namespace internal {

template <typename T>
struct IsVector : std::false_type {};

template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

template <typename T>
struct IsOptional : std::false_type {};

template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <typename T>
struct IsStringMap : std::false_type {};

template <typename T>
struct IsStringMap<std::map<std::string, T>> : std::true_type {};

template <typename T>
Status ReadInteger(const Json& json, std::string_view what, T& value) {
  if (!json.is_number_integer()) {
    return WrongKind(what, json, "a whole number");
  }
  const bool fits = json.is_number_unsigned() ? std::in_range<T>(json.get<std::uint64_t>())
                                              : std::in_range<T>(json.get<std::int64_t>());
  if (!fits) {
    return WrongKind(what, json,
                     "a whole number from " + std::to_string(std::numeric_limits<T>::min()) +
                         " to " + std::to_string(std::numeric_limits<T>::max()));
  }
  value = json.get<T>();
  return OkStatus();
}

template <typename T>
Status ReadMembers(const Json& json, std::string_view what, UnknownKeys unknown, T& value) {
  if (!json.is_object()) {
    return WrongKind(what, json, "an object");
  }
  Status status;
  std::size_t found = 0;
  std::string known;
  const auto read = [&](const auto& row) {
    known += (known.empty() ? "" : ", ") + std::string(row.key);
    const auto it = json.find(row.key);
    if (it == json.end()) {
      if (row.required && status.ok()) {
        status = InvalidArgument(std::string(what) + " has no key '" + std::string(row.key) +
                                 "'; add it");
      }
      return;
    }
    ++found;
    if (status.ok()) {
      status = ReadInto(*it, std::string(what) + "." + std::string(row.key), unknown,
                        value.*(row.member));
    }
  };
  std::apply([&](const auto&... row) { (read(row), ...); }, Members<T>::kTable);
  TYLLM_TRY(status);
  if (unknown == UnknownKeys::kReject && found != json.size()) {
    for (const auto& [key, ignored] : json.items()) {
      bool is_known = false;
      std::apply([&](const auto&... row) { ((is_known = is_known || row.key == key), ...); },
                 Members<T>::kTable);
      if (!is_known) {
        return InvalidArgument(std::string(what) + " has an unknown key '" + key +
                               "', expected only: " + known);
      }
    }
  }
  return OkStatus();
}

}  // namespace internal

template <typename T>
Json ToJson(const T& value) {
  if constexpr (NamedEnum<T>) {
    return std::string(NamesOf(value).Name(value));
  } else if constexpr (TextForm<T>) {
    return value.ToString();
  } else if constexpr (HasMembers<T>) {
    Json json = Json::object();
    const auto add = [&](const auto& row) {
      Json member = ToJson(value.*(row.member));
      if (!member.is_null()) {
        json[std::string(row.key)] = std::move(member);
      }
    };
    std::apply([&](const auto&... row) { (add(row), ...); }, Members<T>::kTable);
    return json;
  } else if constexpr (internal::IsOptional<T>::value) {
    return value ? ToJson(*value) : Json();
  } else if constexpr (internal::IsVector<T>::value) {
    Json json = Json::array();
    for (const auto& element : value) {
      json.push_back(ToJson(element));
    }
    return json;
  } else if constexpr (internal::IsStringMap<T>::value) {
    Json json = Json::object();
    for (const auto& [key, element] : value) {
      json[key] = ToJson(element);
    }
    return json;
  } else {
    return Json(value);
  }
}

template <typename T>
Status ReadInto(const Json& json, std::string_view what, UnknownKeys unknown, T& value) {
  if constexpr (NamedEnum<T>) {
    if (!json.is_string()) {
      return WrongKind(what, json, "one of: " + NamesOf(T{}).Names());
    }
    auto parsed = NamesOf(T{}).Parse(json.template get_ref<const std::string&>());
    if (!parsed.ok()) {
      return parsed.status().Annotate(what);
    }
    value = *parsed;
    return OkStatus();
  } else if constexpr (TextForm<T>) {
    if (!json.is_string()) {
      return WrongKind(what, json, "text");
    }
    auto parsed = T::Parse(json.template get_ref<const std::string&>());
    if (!parsed.ok()) {
      return parsed.status().Annotate(what);
    }
    value = *parsed;
    return OkStatus();
  } else if constexpr (HasMembers<T>) {
    return internal::ReadMembers(json, what, unknown, value);
  } else if constexpr (internal::IsOptional<T>::value) {
    if (json.is_null()) {
      value.reset();
      return OkStatus();
    }
    return ReadInto(json, what, unknown, value.emplace());
  } else if constexpr (internal::IsVector<T>::value) {
    if (!json.is_array()) {
      return WrongKind(what, json, "a list");
    }
    value.clear();
    for (std::size_t i = 0; i < json.size(); ++i) {
      typename T::value_type element{};
      TYLLM_TRY(
          ReadInto(json[i], std::string(what) + "[" + std::to_string(i) + "]", unknown, element));
      value.push_back(std::move(element));
    }
    return OkStatus();
  } else if constexpr (internal::IsStringMap<T>::value) {
    if (!json.is_object()) {
      return WrongKind(what, json, "an object");
    }
    value.clear();
    for (const auto& [key, element] : json.items()) {
      TYLLM_TRY(ReadInto(element, std::string(what) + "." + key, unknown, value[key]));
    }
    return OkStatus();
  } else if constexpr (std::is_same_v<T, Json>) {
    value = json;
    return OkStatus();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_boolean()) {
      return WrongKind(what, json, "true or false");
    }
    value = json.get<bool>();
    return OkStatus();
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) {
      return WrongKind(what, json, "text");
    }
    value = json.get<std::string>();
    return OkStatus();
  } else if constexpr (std::is_integral_v<T>) {
    return internal::ReadInteger(json, what, value);
  } else {
    static_assert(std::is_floating_point_v<T>, "give the type a member table");
    if (!json.is_number()) {
      return WrongKind(what, json, "a number");
    }
    value = json.get<T>();
    return OkStatus();
  }
}

}  // namespace tyllm::format
