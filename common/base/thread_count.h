// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"

namespace tyllm {

/// kInvalidArgument names the option unless `count` is 0 (as many as there are CPUs) to 4096.
Status CheckThreadCount(std::string_view option, std::int64_t count);

}  // namespace tyllm
