// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Where to read a log.
struct LogPosition {
  domain::TaskId task;
  domain::Attempt attempt = 0;  ///< 0: the last one
  std::int64_t offset = 0;
};

/// At most 256 KiB. Without a byte at the offset and while the attempt runs, waits up to `wait` for
/// one (an empty chunk then). To follow a log: read on at offset + data.size() until `ended`.
boost::asio::awaitable<Result<domain::LogChunk>> ReadLog(Farm& farm, LogPosition position,
                                                         Milliseconds wait);

}  // namespace tyllm::server::core
