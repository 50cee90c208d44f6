// SPDX-License-Identifier: Apache-2.0
#include "worker/model/template_variables.h"

#include <algorithm>
#include <array>

#include "worker/model/template_scanner.h"

namespace tyllm::model {
namespace {

/// Variables that refer to each other.
constexpr std::size_t kMostNames = 8;

/// Behind "set name", where a statement says that.
std::optional<std::string_view> BehindSet(std::string_view statement, std::string_view name) {
  TemplateWords words(statement);
  words.Take("-");
  if (!words.SkipBlanks().Take("set") || !words.TakeName().empty() ||
      words.SkipBlanks().TakeName() != name) {
    return std::nullopt;
  }
  return words.SkipBlanks().rest();
}

/// Without what ends its statement.
std::string_view Expression(std::string_view text) {
  text = text.substr(0, text.ends_with('-') ? text.size() - 1 : text.size());
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

/// A text, when a string is all of the expression.
std::optional<std::string> Constant(std::string_view expression) {
  constexpr std::array<std::string_view, 4> kNothing{"false", "False", "none", "None"};
  if (std::ranges::find(kNothing, expression) != kNothing.end()) {
    return "";
  }
  const char first = expression.empty() ? ' ' : expression.front();
  if (first != '\'' && first != '"') {
    return std::nullopt;
  }
  const std::string_view string = expression.substr(1);
  const std::size_t end = EndOfString(string, first, {});
  Unquoted unquoted = Unquote(string.substr(0, end));
  return unquoted.is_whole && end + 1 == string.size() ? std::optional(std::move(unquoted.text))
                                                       : std::nullopt;
}

}  // namespace

TemplateVariables::Values TemplateVariables::Of(std::string_view name) const {
  Values values;
  Names seen;
  Collect(name, seen, values);
  return values;
}

bool TemplateVariables::IsSet(std::string_view name) const {
  return std::ranges::any_of(statements_, [&](std::string_view statement) {
    return BehindSet(statement, name).has_value();
  });
}

void TemplateVariables::Collect(std::string_view name, Names& seen, Values& values) const {
  seen.insert(name);
  for (const std::string_view statement : statements_) {
    const std::optional<std::string_view> behind = BehindSet(statement, name);
    if (!behind) {
      continue;
    }
    TemplateWords words(*behind);
    if (words.Take("=")) {
      Add(Expression(words.SkipBlanks().rest()), seen, values);
    } else if (Expression(*behind).empty()) {
      values.expression = std::string(name);  // {% set name %} ... {% endset %}
    }
  }
}

void TemplateVariables::Add(std::string_view expression, Names& seen, Values& values) const {
  if (std::optional<std::string> text = Constant(expression)) {
    values.texts.insert(*std::move(text));
    return;
  }
  const bool is_string = expression.starts_with('\'') || expression.starts_with('"');
  constexpr std::string_view kElse = " else ";
  const std::size_t otherwise = is_string ? std::string_view::npos : expression.rfind(kElse);
  if (otherwise != std::string_view::npos) {
    TemplateWords tail(expression.substr(otherwise + kElse.size()));
    Add(tail.SkipBlanks().rest(), seen, values);
    return;
  }
  TemplateWords words(expression);
  const std::string_view name = words.TakeName();
  const bool is_name = !name.empty() && words.rest().empty();
  if (is_name && seen.contains(name)) {
    return;
  }
  if (is_name && seen.size() < kMostNames && IsSet(name)) {
    Collect(name, seen, values);
    return;
  }
  // What comes from the conversation is not the template's own.
  if (expression.find("message") == std::string_view::npos) {
    values.expression = std::string(expression);
  }
}

}  // namespace tyllm::model
