// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// An attempt that succeeded, as its worker says; every log byte and blob of it is there. It is
/// recorded in the transaction that gives the worker its next task.
struct Success {
  store::HeldTask task;
  BlobId output;
  std::int64_t bytes = 0;  ///< of the output's files
  std::vector<domain::StageTime> stages;
  domain::Resources used = {};
  std::optional<Sha256> key = std::nullopt;  ///< of the action, when it is known
  bool recorded = false;                     ///< false after RecordSuccesses: it came too late
};

/// Takes what a worker says of the attempts that it holds: renews leases, notes progress, records
/// failures of which every log byte is there, and fences what is not its any more. Gives up
/// attempts of the worker's earlier processes that it does not name. Fills `stop` and
/// `acknowledged` of the reply, and gives the successes that are still to be recorded.
boost::asio::awaitable<Result<std::vector<Success>>> TakeReports(Farm& farm,
                                                                 const domain::SyncRequest& request,
                                                                 domain::SyncReply& reply);

/// In a transaction.
Status RecordSuccesses(store::Queue& queue, const domain::SyncRequest& request,
                       std::vector<Success>& successes, std::int64_t now);

/// After it.
void AcknowledgeSuccesses(Farm& farm, const std::vector<Success>& successes,
                          domain::SyncReply& reply);

}  // namespace tyllm::server::core
