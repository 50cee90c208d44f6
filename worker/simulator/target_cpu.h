// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "common/base/status.h"

namespace tyllm::simulator {

/// Whether this machine can run code for `target` ("x86-64-v3"). kFailedPrecondition names what it
/// lacks; a name that is not known is an error too.
Status CheckTargetCpu(std::string_view target);

}  // namespace tyllm::simulator
