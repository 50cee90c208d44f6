// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Names, sizes and numbers of a worker's call; names the first that is wrong.
Status CheckSync(const domain::SyncRequest& request);

/// Notes the worker's call. A session that is new becomes its worker's session. kAborted when a
/// newer one has replaced it. True: it states tools that it did not state before.
boost::asio::awaitable<Result<bool>> NoteCall(Farm& farm, const domain::SyncRequest& request);

}  // namespace tyllm::server::core
