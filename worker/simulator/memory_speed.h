// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/result.h"

namespace tyllm::simulator {

/// Bytes a second that `threads` threads together read from memory, one after another, each from
/// its own part of a region that no cache holds: the best of a few passes.
Result<double> MeasureReadSpeed(std::int64_t threads);

}  // namespace tyllm::simulator
