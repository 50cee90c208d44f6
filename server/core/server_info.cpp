// SPDX-License-Identifier: Apache-2.0
#include "server/core/server_info.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::ServerInfo>> GetServerInfo(Farm& farm) {
  domain::ServerInfo info;
  info.version = farm.parts.version;
  info.started_unix_ms = farm.started_unix_ms;
  info.blob_bytes = farm.parts.blobs.TotalBytes();
  TYLLM_CO_ASSIGN(info.jobs_by_state, co_await farm.parts.store.Look([&](store::Queue& queue) {
    info.schema_version = queue.schema_version();
    return queue.CountJobs();
  }));
  co_return info;
}

}  // namespace tyllm::server::core
