// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Adds log bytes; the answer is the size on the disk. Bytes that are there already are ignored, a
/// gap is kOutOfRange, an attempt that is not the task's current one is kAborted.
boost::asio::awaitable<Result<std::int64_t>> AppendLog(Farm& farm, domain::LogAppend append);

}  // namespace tyllm::server::core
