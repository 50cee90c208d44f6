// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/devices.h"
#include "worker/compile/vendor/vendor.h"

namespace tyllm::jobs {

/// What this toolchain is and could compute with here, and which tools it finds (the vendor's as
/// `vendor` says; without a command it is not looked for). A GPU counts as usable when its back end
/// starts.
domain::ToolchainFacts DescribeToolchain(const compile::VendorSettings& vendor);

}  // namespace tyllm::jobs
