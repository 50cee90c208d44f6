// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

struct QueueCopy {
  Path path;
  std::int64_t schema_version = 0;
  std::int64_t unix_ms = 0;  ///< when it was complete
};

/// Removes copies that nobody came for: queue-<digits>.db and what SQLite keeps beside one, if
/// nothing was written to it for `age`. What a migration has put there stays.
Status RemoveOldCopies(const Path& folder, std::chrono::seconds age = {});

/// How a copy is made.
struct CopyPace {
  int pages = 256;  ///< at a time: 1 MiB, and a commit waits no longer than this takes
  int steps = 64;   ///< until what was copied goes to the disk: 64 MiB
};

/// Copies the queue into a new file of Parts::copies while everything else goes on: a few pages at
/// a time between transactions, and what was copied goes to the disk on other threads. Whoever asks
/// for it has some minutes to take it: copies older than that are removed by the next.
/// kFailedPrecondition while another copy is being made.
boost::asio::awaitable<Result<QueueCopy>> CopyQueue(Farm& farm, CopyPace pace = {});

}  // namespace tyllm::server::core
