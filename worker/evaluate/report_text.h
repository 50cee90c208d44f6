// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "worker/evaluate/report.h"

namespace tyllm::evaluate {

/// The report as a person reads it: figures, the subject table, texts side by side.
std::string ReportText(const Report& report);

}  // namespace tyllm::evaluate
