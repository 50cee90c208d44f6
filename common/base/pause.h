// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "common/base/clock.h"

namespace tyllm {

/// Sleeps for `time` or until a stop is requested; false when stopped.
bool PauseFor(Milliseconds time, const std::stop_token& stop);

}  // namespace tyllm
