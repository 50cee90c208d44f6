// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "common/format/json.h"

namespace tyllm::format {

// The text of CompactJson(ToJson(value)), byte for byte, without the Json in between: for what is
// written with every job.

template <typename T>
void AppendCompact(const T& value, std::string& text);

/// Most texts are shorter: room that need not grow.
inline constexpr std::size_t kUsualText = 1024;

/// What CompactJson(ToJson(value)) gives.
template <typename T>
std::string CompactText(const T& value) {
  std::string text;
  if constexpr (HasMembers<T>) {
    text.reserve(kUsualText);
  }
  AppendCompact(value, text);
  return text;
}

inline void AppendCompactString(std::string_view value, std::string& text) {
  const bool plain = std::ranges::all_of(value, [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x80 &&
           c != '"' && c != '\\';
  });
  if (!plain) {
    text += CompactJson(Json(value));
    return;
  }
  text += '"';
  text += value;
  text += '"';
}

/// `"key":value` with a comma before all but the first; nothing for an optional that is empty.
template <typename T>
void AppendCompactMember(std::string_view key, const T& value, std::string& text) {
  if constexpr (internal::IsOptional<T>::value) {
    if (value) {
      AppendCompactMember(key, *value, text);
    }
  } else {
    text += text.back() == '{' ? "\"" : ",\"";
    text += key;
    text += "\":";
    AppendCompact(value, text);
  }
}

template <typename T>
void AppendCompact(const T& value, std::string& text) {
  if constexpr (NamedEnum<T>) {
    AppendCompactString(NamesOf(value).Name(value), text);
  } else if constexpr (TextForm<T>) {
    AppendCompactString(value.ToString(), text);
  } else if constexpr (HasMembers<T>) {
    text += '{';
    std::apply(
        [&](const auto&... row) { (AppendCompactMember(row.key, value.*(row.member), text), ...); },
        Members<T>::kTable);
    text += '}';
  } else if constexpr (internal::IsOptional<T>::value) {
    if (value) {
      AppendCompact(*value, text);
    } else {
      text += "null";
    }
  } else if constexpr (internal::IsVector<T>::value) {
    text += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      text += i == 0 ? "" : ",";
      AppendCompact(value[i], text);
    }
    text += ']';
  } else if constexpr (internal::IsStringMap<T>::value) {
    text += '{';
    bool first = true;
    for (const auto& [key, element] : value) {
      text += first ? "" : ",";
      first = false;
      AppendCompactString(key, text);
      text += ':';
      AppendCompact(element, text);
    }
    text += '}';
  } else if constexpr (std::is_same_v<T, bool>) {
    text += value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    text += std::to_string(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    AppendCompactString(value, text);
  } else {
    text += CompactJson(ToJson(value));
  }
}

}  // namespace tyllm::format
