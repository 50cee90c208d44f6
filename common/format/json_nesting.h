// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "common/base/status.h"

namespace tyllm::format {

/// The error that ParseJson gives for text that nests too deep to be copied; for parsers that do
/// not use it.
Status CheckNesting(std::string_view text, std::string_view what);

}  // namespace tyllm::format
