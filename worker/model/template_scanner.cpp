// SPDX-License-Identifier: Apache-2.0
#include "worker/model/template_scanner.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace tyllm::model {
namespace {

/// A character after a backslash, as Jinja's strings have it.
std::optional<char> Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return std::nullopt;
  }
}

bool IsOfName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

TemplatePlace TemplateScanner::GoTo(std::size_t end) {
  while (at_ < end) {
    Step();
  }
  return {quote_, statements_.empty() ? std::string_view() : statements_.back()};
}

void TemplateScanner::Step() {
  const std::string_view rest = text_.substr(at_);
  if (quote_ != 0) {
    at_ += rest.front() == '\\' ? 2 : 1;
    quote_ = rest.front() == quote_ ? 0 : quote_;
  } else if (close_.empty()) {
    Open(rest);
  } else if (rest.starts_with(close_)) {
    if (close_ == "%}") {
      statements_.push_back(text_.substr(begin_, at_ - begin_));
    }
    at_ += close_.size();
    close_ = {};
  } else {
    const bool is_quote = rest.front() == '\'' || rest.front() == '"';
    quote_ = is_quote && close_ != "#}" ? rest.front() : 0;
    ++at_;
  }
}

void TemplateScanner::Open(std::string_view rest) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kTags{
      {{"{{", "}}"}, {"{%", "%}"}, {"{#", "#}"}}};
  for (const auto& [open, close] : kTags) {
    if (rest.starts_with(open)) {
      close_ = close;
      at_ += open.size();
      begin_ = at_;
      return;
    }
  }
  ++at_;
}

Unquoted Unquote(std::string_view raw) {
  Unquoted unquoted;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      unquoted.text += raw[i];
      continue;
    }
    const std::optional<char> c = i + 1 < raw.size() ? Unescaped(raw[i + 1]) : std::nullopt;
    if (!c) {
      unquoted.text += "\\";
      unquoted.is_whole = false;  // by its number
      return unquoted;
    }
    unquoted.text += *c;
    ++i;
  }
  return unquoted;
}

std::size_t EndOfString(std::string_view rest, char quote, std::string_view end) {
  std::size_t i = 0;
  while (i < rest.size() && rest[i] != quote && (end.empty() || !rest.substr(i).starts_with(end))) {
    i += rest[i] == '\\' ? 2 : 1;
  }
  return std::min(i, rest.size());
}

TemplateWords& TemplateWords::SkipBlanks() {
  rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  return *this;
}

bool TemplateWords::Take(std::string_view word) {
  if (!rest_.starts_with(word)) {
    return false;
  }
  rest_.remove_prefix(word.size());
  return true;
}

std::string_view TemplateWords::TakeName() {
  const auto end = std::ranges::find_if_not(rest_, IsOfName);
  const std::string_view name = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
  rest_.remove_prefix(name.size());
  return name;
}

bool TemplateWords::TakeJoin() {
  SkipBlanks();
  return Take("+") || Take("~");
}

}  // namespace tyllm::model
