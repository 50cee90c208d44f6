// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/validation.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// What this server speaks and how much it takes; `project` (empty: the default) is whose quota is
/// told. What only the wire knows (versions, sizes of messages) is the caller's to add.
boost::asio::awaitable<Result<domain::ServerCapabilities>> GetCapabilities(Farm& farm,
                                                                           std::string project);

}  // namespace tyllm::server::core
