// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>

#include "common/base/status.h"

namespace tyllm::wire {

/// A part of a transfer, on any thread. Ends soon after a stop request.
using Work = std::function<Status(const std::stop_token&)>;

/// Does them all, up to `most` at a time, begun in their order. The first error stops the others
/// and is the answer. kCancelled after a stop request that left some undone.
Status DoSideBySide(std::size_t most, std::span<const Work> works, const std::stop_token& stop);

}  // namespace tyllm::wire
