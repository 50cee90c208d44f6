// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

struct QueueCopy {
  Path path;
  std::int64_t schema_version = 0;
  std::int64_t unix_ms = 0;  ///< when it was complete
};

/// Removes copies that nobody came for: queue-<digits>.db and what SQLite keeps beside one, but for
/// `kept`. What a migration has put there stays.
Status RemoveOldCopies(const Path& folder, const Path& kept = {});

/// Copies the queue into a new file of Parts::copies while everything else goes on: a few pages at
/// a time between transactions, and what was copied goes to the disk on other threads. Older copies
/// are removed. kFailedPrecondition while another copy is being made.
boost::asio::awaitable<Result<QueueCopy>> CopyQueue(Farm& farm);

}  // namespace tyllm::server::core
