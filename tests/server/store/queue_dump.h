// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/store/queue.h"

namespace tyllm::server::store {

/// Everything that the interface shows of a queue, as text: equal texts, equal queues. The words of
/// events are left out.
std::string Dump(Queue& queue, std::int64_t now);

}  // namespace tyllm::server::store
