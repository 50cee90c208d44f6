// SPDX-License-Identifier: Apache-2.0
#include "common/domain/validation.h"

#include <algorithm>

namespace tyllm::domain {

namespace {

bool IsFieldName(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
         });
}

}  // namespace

std::string FieldOf(std::string_view message) {
  std::string path;
  const auto add = [&](std::string_view name) {
    path += (path.empty() ? "" : ".") + std::string(name);
  };
  while (true) {
    const std::size_t colon = message.find(": ");
    if (colon == std::string_view::npos || !IsFieldName(message.substr(0, colon))) {
      break;
    }
    add(message.substr(0, colon));
    message.remove_prefix(colon + 2);
  }
  const std::size_t space = message.find(' ');
  const std::string_view first = message.substr(0, space);
  const std::string_view rest =
      space == std::string_view::npos ? std::string_view() : message.substr(space);
  if (IsFieldName(first) &&
      (rest.starts_with(" is ") || rest.starts_with(" has ") || rest.starts_with(" names "))) {
    add(first);
  }
  return path;
}

}  // namespace tyllm::domain
