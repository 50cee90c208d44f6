// SPDX-License-Identifier: Apache-2.0
#include "worker/model/default_system.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace tyllm::model {
namespace {

constexpr std::string_view kOpening = "<|im_start|>system";
constexpr std::string_view kEnd = "<|im_end|>";

/// Where a place of a template is.
struct Place {
  char quote = 0;             ///< of the string that it is in; 0: in the text around expressions
  std::string_view last_tag;  ///< what the last {% ... %} before it says
};

/// Goes through a template from its beginning: text, tags, and strings within those.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  /// Goes on to `end`.
  Place GoTo(std::size_t end) {
    while (at_ < end) {
      Step();
    }
    return {quote_, last_tag_};
  }

 private:
  void Step() {
    const std::string_view rest = text_.substr(at_);
    if (quote_ != 0) {
      at_ += rest.front() == '\\' ? 2 : 1;
      quote_ = rest.front() == quote_ ? 0 : quote_;
    } else if (close_.empty()) {
      Open(rest);
    } else if (rest.starts_with(close_)) {
      if (close_ == "%}") {
        last_tag_ = text_.substr(begin_, at_ - begin_);
      }
      at_ += close_.size();
      close_ = {};
    } else {
      const bool is_quote = rest.front() == '\'' || rest.front() == '"';
      quote_ = is_quote && close_ != "#}" ? rest.front() : 0;
      ++at_;
    }
  }

  void Open(std::string_view rest) {
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

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;   ///< of the tag
  std::string_view close_;  ///< of the tag; empty: in the text
  char quote_ = 0;
  std::string_view last_tag_;
};

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

/// What stands before the end of the turn.
struct Literal {
  std::string text;
  bool ends = false;      ///< it is all of the message
  bool is_empty = false;  ///< an expression follows at once
};

Literal InString(std::string_view rest, char quote) {
  Literal literal;
  for (std::size_t i = 0; i < rest.size() && rest[i] != quote; ++i) {
    if (rest.substr(i).starts_with(kEnd)) {
      literal.ends = true;
      return literal;
    }
    if (rest[i] != '\\') {
      literal.text += rest[i];
      continue;
    }
    const std::optional<char> c = i + 1 < rest.size() ? Unescaped(rest[i + 1]) : std::nullopt;
    if (!c) {
      literal.text += "\\";
      return literal;  // by its number: not read
    }
    literal.text += *c;
    ++i;
  }
  literal.is_empty = literal.text.empty();
  return literal;
}

Literal InText(std::string_view rest) {
  Literal literal;
  const std::size_t end = rest.find(kEnd);
  const std::size_t tag = std::min(rest.find("{{"), rest.find("{%"));
  literal.ends = end != std::string_view::npos && end < tag;
  literal.text = std::string(rest.substr(0, std::min(end, tag)));
  literal.is_empty = tag == 0;
  return literal;
}

/// Behind "system": a line break, which a string writes as one or as its escape.
bool TakeLineBreak(std::string_view& rest, char quote) {
  const bool escaped = quote != 0 && rest.starts_with("\\n");
  if (!escaped && !rest.starts_with('\n')) {
    return false;
  }
  rest.remove_prefix(escaped ? 2 : 1);
  return true;
}

}  // namespace

Result<std::string> FindDefaultSystem(std::string_view text, std::string_view what) {
  Scanner scanner(text);
  std::optional<std::string> unread;
  for (std::size_t at = text.find(kOpening); at != std::string_view::npos;
       at = text.find(kOpening, at + 1)) {
    const Place place = scanner.GoTo(at);
    std::string_view rest = text.substr(at + kOpening.size());
    if (!TakeLineBreak(rest, place.quote)) {
      continue;
    }
    Literal literal = place.quote != 0 ? InString(rest, place.quote) : InText(rest);
    if (literal.ends && !literal.text.empty()) {
      return std::move(literal.text);
    }
    // What is said of tools is said only where there are some.
    if (!literal.ends && !literal.is_empty && !unread &&
        place.last_tag.find("tool") == std::string_view::npos) {
      unread = std::move(literal.text);
    }
  }
  if (unread) {
    return Unimplemented(std::string(what) + " writes a system message of its own that begins '" +
                         unread->substr(0, 60) +
                         "' and goes on with an expression or an escape by number, which is not "
                         "read; give the message with --system, or the prompt as plain text");
  }
  return std::string();
}

}  // namespace tyllm::model
