// SPDX-License-Identifier: Apache-2.0
#include "common/domain/condition.h"

#include <charconv>
#include <cmath>
#include <optional>

namespace tyllm::domain {

namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

std::optional<double> ParseNumber(std::string_view text) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

Result<Condition> Condition::Parse(std::string_view text) {
  const std::size_t at = text.find_first_of("<>");
  const auto malformed = [&] {
    return InvalidArgument("condition is '" + std::string(text) +
                           "', expected a figure of the report, one of > >= < <=, and a number, "
                           "for example perplexity_increase>0.05");
  };
  if (at == std::string_view::npos) {
    return malformed();
  }
  const bool or_equal = text.substr(at + 1).starts_with('=');
  const std::optional<double> bound = ParseNumber(Trim(text.substr(at + (or_equal ? 2 : 1))));
  const std::string_view figure = Trim(text.substr(0, at));
  if (!bound || figure.empty()) {
    return malformed();
  }
  const bool greater = text[at] == '>';
  return Condition{.text = std::string(text),
                   .figure = std::string(figure),
                   .relation = greater ? (or_equal ? Relation::kGreaterOrEqual : Relation::kGreater)
                                       : (or_equal ? Relation::kLessOrEqual : Relation::kLess),
                   .bound = *bound};
}

bool Condition::HoldsOf(double value) const {
  switch (relation) {
    case Relation::kGreater:
      return value > bound;
    case Relation::kGreaterOrEqual:
      return value >= bound;
    case Relation::kLess:
      return value < bound;
    case Relation::kLessOrEqual:
      return value <= bound;
  }
  return false;
}

}  // namespace tyllm::domain
