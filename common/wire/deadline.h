// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpc/support/time.h>

#include <chrono>

namespace tyllm::wire {

/// For ClientContext::set_deadline: so much from now, on the clock that never jumps.
inline gpr_timespec DeadlineIn(std::chrono::milliseconds limit) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(limit.count(), GPR_TIMESPAN));
}

}  // namespace tyllm::wire
