// SPDX-License-Identifier: Apache-2.0
#include "worker/model/default_system.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "worker/model/template_scanner.h"
#include "worker/model/template_variables.h"

namespace tyllm::model {
namespace {

constexpr std::string_view kOpening = "<|im_start|>system";
constexpr std::string_view kEnd = "<|im_end|>";

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

/// The variable that is all of a message: behind the opening stands ' + name + '<|im_end|>, or
/// {{ name }}<|im_end|> in text. Empty where something else stands there.
std::string_view VariableBehind(std::string_view rest, char quote) {
  TemplateWords words(rest);
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

TemplateVariables VariablesOf(std::string_view text) {
  TemplateScanner scanner(text);
  scanner.GoTo(text.size());
  return TemplateVariables(scanner.statements());
}

/// What a message that is one variable says: empty where the template has nothing of its own for
/// it, not read where it may be this or that.
Literal OfVariable(const TemplateVariables::Values& values) {
  const std::string first = values.texts.empty() ? "" : *values.texts.rbegin();
  if (values.expression || values.texts.size() > 1) {
    return {first.empty() ? values.expression.value_or("") : first, false, false};
  }
  return {first, !first.empty(), first.empty()};
}

}  // namespace

Result<std::string> FindDefaultSystem(std::string_view text, std::string_view what) {
  TemplateScanner scanner(text);
  const TemplateVariables variables = VariablesOf(text);
  std::optional<std::string> unread;
  for (std::size_t at = text.find(kOpening); at != std::string_view::npos;
       at = text.find(kOpening, at + 1)) {
    const TemplatePlace place = scanner.GoTo(at);
    std::string_view rest = text.substr(at + kOpening.size());
    if (!TakeLineBreak(rest, place.quote)) {
      continue;
    }
    Literal literal = place.quote != 0 ? InString(rest, place.quote) : InText(rest);
    if (const std::string_view name = VariableBehind(rest, place.quote); !name.empty()) {
      literal = OfVariable(variables.Of(name));
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
