// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "worker/compile/vendor/vendor.h"

namespace tyllm::app {

/// Words of a command as a shell tells them apart: blanks are between them unless they stand in
/// '...' or "..." or behind a backslash; nothing else means anything. Of kVendorCommandVariable
/// when it is empty. kInvalidArgument where a quote is not closed.
Result<compile::VendorSettings> VendorSettingsOf(const std::string& command);

}  // namespace tyllm::app
