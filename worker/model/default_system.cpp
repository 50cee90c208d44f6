// SPDX-License-Identifier: Apache-2.0
#include "worker/model/default_system.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>
#include <vector>

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
    return {quote_, statements_.empty() ? std::string_view() : statements_.back()};
  }

  /// What each {% ... %} before that place says.
  const std::vector<std::string_view>& statements() const { return statements_; }

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
  std::vector<std::string_view> statements_;
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

/// What a string of a template says, up to an escape that is not read.
struct Unquoted {
  std::string text;
  bool is_whole = true;
};

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

/// Up to the quote that ends a string, or to the end of the turn in it.
std::size_t EndOfString(std::string_view rest, char quote, std::string_view end) {
  std::size_t i = 0;
  while (i < rest.size() && rest[i] != quote && (end.empty() || !rest.substr(i).starts_with(end))) {
    i += rest[i] == '\\' ? 2 : 1;
  }
  return std::min(i, rest.size());
}

/// What stands before the end of the turn.
struct Literal {
  std::string text;
  bool ends = false;      ///< it is all of the message
  bool is_empty = false;  ///< an expression follows at once
};

Literal InString(std::string_view rest, char quote) {
  const std::size_t end = EndOfString(rest, quote, kEnd);
  Unquoted unquoted = Unquote(rest.substr(0, end));
  Literal literal{std::move(unquoted.text), false, false};
  literal.ends = unquoted.is_whole && rest.substr(end).starts_with(kEnd);
  literal.is_empty = !literal.ends && literal.text.empty();
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

bool IsOfName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Takes words of an expression from its front.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  std::string_view rest() const { return rest_; }

  Words& SkipBlanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    return *this;
  }

  bool Take(std::string_view word) {
    if (!rest_.starts_with(word)) {
      return false;
    }
    rest_.remove_prefix(word.size());
    return true;
  }

  /// Empty where there is none.
  std::string_view TakeName() {
    std::size_t size = 0;
    while (size < rest_.size() && IsOfName(rest_[size])) {
      ++size;
    }
    const std::string_view name = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return name;
  }

  /// Joins strings in an expression.
  bool TakeJoin() {
    SkipBlanks();
    return Take("+") || Take("~");
  }

 private:
  std::string_view rest_;
};

/// The variable that is all of a message: behind the opening stands ' + name + '<|im_end|>, or
/// {{ name }}<|im_end|> in text. Empty where something else stands there.
std::string_view VariableBehind(std::string_view rest, char quote) {
  Words words(rest);
  std::string_view name;
  bool ends = false;
  if (quote != 0) {
    if (words.Take(std::string_view(&quote, 1)) && words.TakeJoin()) {
      name = words.SkipBlanks().TakeName();
      ends = words.TakeJoin() && (words.SkipBlanks().Take("'") || words.Take("\""));
    }
  } else if (words.Take("{{")) {
    words.Take("-");
    name = words.SkipBlanks().TakeName();
    words.SkipBlanks().Take("-");
    ends = words.Take("}}");
  }
  return ends && words.rest().starts_with(kEnd) ? name : std::string_view();
}

/// What variables of a template may hold that nobody gave it a message for.
class Variables {
 public:
  explicit Variables(std::vector<std::string_view> statements)
      : statements_(std::move(statements)) {}

  struct Values {
    std::set<std::string> texts;            ///< constants
    std::optional<std::string> expression;  ///< one that is not followed
  };

  Values Of(std::string_view name) const {
    Values values;
    Collect(name, kMostNames, values);
    return values;
  }

 private:
  static constexpr int kMostNames = 8;  ///< that refer to each other

  /// Whether there is anything of that name.
  bool Collect(std::string_view name, int names, Values& values) const {
    bool is_set = false;
    for (const std::string_view statement : statements_) {
      Words words(statement);
      words.Take("-");
      if (!words.SkipBlanks().Take("set") || words.TakeName() != "" ||
          words.SkipBlanks().TakeName() != name) {
        continue;
      }
      is_set = true;
      if (words.SkipBlanks().Take("=")) {
        Add(Expression(words.SkipBlanks().rest()), name, names, values);
      } else if (words.rest().empty() || words.rest() == "-") {
        values.expression = std::string(name);  // {% set name %} ... {% endset %}
      }
    }
    return is_set;
  }

  /// Without what ends its statement.
  static std::string_view Expression(std::string_view text) {
    text = text.substr(0, text.ends_with('-') ? text.size() - 1 : text.size());
    return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  }

  void Add(std::string_view expression, std::string_view name, int names, Values& values) const {
    const char first = expression.empty() ? ' ' : expression.front();
    if (first == '\'' || first == '"') {
      const std::string_view string = expression.substr(1);
      const std::size_t end = EndOfString(string, first, {});
      Unquoted unquoted = Unquote(string.substr(0, end));
      if (unquoted.is_whole && end + 1 == string.size()) {
        values.texts.insert(std::move(unquoted.text));
      } else {
        values.expression = std::string(expression);
      }
      return;
    }
    if (expression == "false" || expression == "none" || expression == "False" ||
        expression == "None") {
      values.texts.insert("");
      return;
    }
    constexpr std::string_view kElse = " else ";
    if (const std::size_t otherwise = expression.rfind(kElse);
        otherwise != std::string_view::npos) {
      Add(Words(expression.substr(otherwise + kElse.size())).SkipBlanks().rest(), name, names,
          values);
      return;
    }
    const bool is_name = std::ranges::all_of(expression, IsOfName);
    const bool is_followed =
        is_name && (expression == name || (names > 0 && Collect(expression, names - 1, values)));
    // What comes from the conversation is not the template's own.
    if (!is_followed && expression.find("message") == std::string_view::npos) {
      values.expression = std::string(expression);
    }
  }

  std::vector<std::string_view> statements_;
};

Variables VariablesOf(std::string_view text) {
  Scanner scanner(text);
  scanner.GoTo(text.size());
  return Variables(scanner.statements());
}

/// What a message that is one variable says: empty where the template has nothing of its own for
/// it, not read where it may be this or that.
Literal OfVariable(std::string_view text, std::string_view name) {
  const Variables::Values values = VariablesOf(text).Of(name);
  const std::string first = values.texts.empty() ? "" : *values.texts.rbegin();
  if (values.expression || values.texts.size() > 1) {
    return {first.empty() ? values.expression.value_or("") : first, false, false};
  }
  return {first, !first.empty(), first.empty()};
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
    if (const std::string_view name = VariableBehind(rest, place.quote); !name.empty()) {
      literal = OfVariable(text, name);
    }
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
    return Unimplemented(
        std::string(what) + " writes a system message of its own that begins '" +
        unread->substr(0, 60) +
        "' and goes on with an expression or an escape by number, or is one of "
        "several, which is not read; give the message with --system, or the prompt as plain text");
  }
  return std::string();
}

}  // namespace tyllm::model
