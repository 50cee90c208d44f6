// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/devices.h"

namespace tyllm::jobs {

/// What this toolchain is and could compute with here. A GPU counts as usable when its back end
/// starts.
domain::ToolchainFacts DescribeToolchain();

}  // namespace tyllm::jobs
