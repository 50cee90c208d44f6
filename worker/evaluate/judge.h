// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "common/domain/condition.h"
#include "worker/evaluate/report.h"

namespace tyllm::evaluate {

/// Whether `outline`, a report whose numbers are not known yet, has the figures of all conditions:
/// to refuse a wrong name before the work. The error lists the figures that there are.
Status CheckFigures(std::span<const domain::Condition> conditions, const Report& outline);

/// What becomes of the conditions; their figures are there.
std::vector<JudgedCondition> Judge(std::span<const domain::Condition> conditions,
                                   const Report& report);

/// The conditions that hold, as one message; empty when none does.
std::string Violations(const Report& report);

}  // namespace tyllm::evaluate
