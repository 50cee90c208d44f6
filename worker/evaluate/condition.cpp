// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/condition.h"

#include <charconv>
#include <map>
#include <optional>

namespace tyllm::evaluate {

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
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

/// Every number of the report by its path in evaluation.json.
void CollectFigures(const format::Json& json, const std::string& prefix,
                    std::map<std::string, double>& figures) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      CollectFigures(value, prefix + key + ".", figures);
    } else if (value.is_number()) {
      figures[prefix + key] = value.get<double>();
    }
  }
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

Status Condition::CheckFigure(bool with_reference) const {
  Report report;
  if (with_reference) {
    report.reference.emplace();
    report.perplexity_increase = 0.0;
    report.kl_divergence = 0.0;
    report.top1_agreement = 0.0;
  }
  return HoldsOf(report).status();
}

Result<bool> Condition::HoldsOf(const Report& report) const {
  std::map<std::string, double> figures;
  CollectFigures(format::ToJson(report), "", figures);
  const auto found = figures.find(figure);
  if (found == figures.end()) {
    std::string names;
    for (const auto& [name, value] : figures) {
      names += (names.empty() ? "" : ", ") + name;
    }
    return InvalidArgument("condition '" + text + "' is on '" + figure +
                           "', which the report does not have; it has: " + names +
                           (report.reference ? "" : " (comparisons need --reference)"));
  }
  const double value = found->second;
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
  return Internal("condition '" + text + "' has no relation");
}

}  // namespace tyllm::evaluate
