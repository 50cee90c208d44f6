// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/web/pages.h"

namespace tyllm::server::web {

/// Brings those metrics up to date that are looked up rather than counted where they happen. What
/// cannot be looked up (a broken store) keeps its last value.
boost::asio::awaitable<void> Scrape(const Sources& sources);

}  // namespace tyllm::server::web
