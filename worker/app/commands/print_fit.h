// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "worker/compile/fit_report.h"

namespace tyllm::app {

/// On standard error, a line each.
void PrintWarnings(const std::vector<std::string>& warnings);

/// What `tyllm compile` says on standard error before it begins: its warnings, and the memory and
/// time that it will need; a warning where less memory is free.
void PrintStart(const compile::FitReport& report);

/// What --dry-run says, as tables.
void PrintFit(const compile::FitReport& report);

}  // namespace tyllm::app
