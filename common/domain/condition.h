// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tyllm::domain {

/// A bound on one figure of an evaluation's report: "perplexity_increase>0.05",
/// "model.perplexity >= 21", "choice.model.accuracy<0.5". Figures are named as in evaluation.json.
struct Condition {
  enum class Relation { kGreater, kGreaterOrEqual, kLess, kLessOrEqual };

  std::string text;  ///< as it was written
  std::string figure;
  Relation relation = Relation::kGreater;
  double bound = 0.0;

  static Result<Condition> Parse(std::string_view text);

  bool HoldsOf(double value) const;
};

}  // namespace tyllm::domain
