// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/blobs/blob_store.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Forgets old request ids, results that nobody uses and workers that are gone, deletes jobs that
/// ended long ago, and removes blobs that nothing refers to any more.
boost::asio::awaitable<Status> RemoveWhatIsOld(Farm& farm);

/// Removes blobs that belong to no job, no result and no unfinished work and that nobody asked for
/// within Limits::blob_keep.
boost::asio::awaitable<Result<blobs::BlobStore::Removed>> CollectBlobs(Farm& farm);

/// RemoveWhatIsOld every ten minutes, until it is cancelled.
boost::asio::awaitable<void> RemoveOldForever(Farm& farm);

}  // namespace tyllm::server::core
