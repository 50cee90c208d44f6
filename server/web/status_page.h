// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "server/web/pages.h"

namespace tyllm::server::web {

/// A plain page with the newest jobs and the workers; reloads itself.
boost::asio::awaitable<Result<Page>> ShowStatus(const Sources& sources);

/// Its HTML. Everything that came from outside is escaped.
std::string StatusHtml(const domain::ServerInfo& info, const std::vector<domain::JobView>& jobs,
                       const std::vector<domain::WorkerView>& workers);

}  // namespace tyllm::server::web
