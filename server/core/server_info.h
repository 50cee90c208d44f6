// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::ServerInfo>> GetServerInfo(Farm& farm);

}  // namespace tyllm::server::core
