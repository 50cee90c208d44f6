// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "worker/compile/vendor/vendor.h"

namespace tyllm::app {

/// Words of a command, with blanks between them; those of kVendorCommandVariable when it is empty.
compile::VendorSettings VendorSettingsOf(const std::string& command);

}  // namespace tyllm::app
