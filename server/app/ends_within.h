// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "common/base/clock.h"

namespace tyllm::server::app {

/// Does `work` on a thread of its own and waits for it. False when it has not ended by `limit`: it
/// goes on by itself, so that what it refers to must stay until the process ends.
[[nodiscard]] bool EndsWithin(Milliseconds limit, std::function<void()> work);

}  // namespace tyllm::server::app
