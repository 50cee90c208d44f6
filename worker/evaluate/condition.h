// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "worker/evaluate/report.h"

namespace tyllm::evaluate {

/// A bound on one figure of a report: "perplexity_increase>0.05", "model.perplexity >= 21",
/// "top1_agreement<0.9". Figures are named as in evaluation.json.
struct Condition {
  enum class Relation { kGreater, kGreaterOrEqual, kLess, kLessOrEqual };

  std::string text;  ///< as it was written
  std::string figure;
  Relation relation = Relation::kGreater;
  double bound = 0.0;

  static Result<Condition> Parse(std::string_view text);

  /// Whether reports of an evaluation with or without a reference have the figure: to refuse a
  /// wrong name before the work.
  Status CheckFigure(bool with_reference) const;

  /// Whether it holds of the report. A figure that the report does not have is an error that lists
  /// those that it has.
  Result<bool> HoldsOf(const Report& report) const;
};

}  // namespace tyllm::evaluate
