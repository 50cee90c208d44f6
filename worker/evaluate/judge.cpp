// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/judge.h"

#include <map>
#include <string>

namespace tyllm::evaluate {

namespace {

using Figures = std::map<std::string, double>;

void Collect(const format::Json& json, const std::string& prefix, Figures& figures) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      Collect(value, prefix + key + ".", figures);
    } else if (value.is_number()) {
      figures[prefix + key] = value.get<double>();
    }
  }
}

/// Every number of the report by its path in evaluation.json.
Figures FiguresOf(const Report& report) {
  Figures figures;
  Collect(format::ToJson(report), "", figures);
  return figures;
}

/// All names but those of single subjects, which are many and alike.
std::string NamesOf(const Figures& figures) {
  std::string names;
  bool has_subjects = false;
  for (const auto& [name, value] : figures) {
    const bool is_subject = name.find(".subjects.") != std::string::npos;
    has_subjects = has_subjects || is_subject;
    names += is_subject ? "" : (names.empty() ? "" : ", ") + name;
  }
  return names + (has_subjects ? ", choice.subjects.NAME.accuracy" : "");
}

}  // namespace

Status CheckFigures(std::span<const domain::Condition> conditions, const Report& outline) {
  const Figures figures = FiguresOf(outline);
  for (const domain::Condition& condition : conditions) {
    if (!figures.contains(condition.figure)) {
      return InvalidArgument("condition '" + condition.text + "' is on '" + condition.figure +
                             "', which the report does not have; it has: " + NamesOf(figures) +
                             (outline.reference ? "" : " (comparisons need --reference)"));
    }
  }
  return OkStatus();
}

std::vector<JudgedCondition> Judge(std::span<const domain::Condition> conditions,
                                   const Report& report) {
  const Figures figures = FiguresOf(report);
  std::vector<JudgedCondition> judged;
  for (const domain::Condition& condition : conditions) {
    const double value = figures.at(condition.figure);
    judged.push_back(
        {.condition = condition.text, .value = value, .holds = condition.HoldsOf(value)});
  }
  return judged;
}

std::string Violations(const Report& report) {
  std::string text;
  for (const JudgedCondition& condition : report.conditions) {
    if (condition.holds) {
      text += (text.empty() ? "--fail-if " : ", ") + condition.condition + " holds: it is " +
              std::to_string(condition.value);
    }
  }
  return text;
}

}  // namespace tyllm::evaluate
