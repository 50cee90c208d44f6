// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/telemetry/metrics.h"
#include "server/core/farm.h"
#include "server/web/http_server.h"

namespace tyllm::server::web {

/// What pages are made from; all of it outlives the server.
struct Sources {
  core::Farm& farm;
  telemetry::Metrics& metrics;
  FileSystem& files;
  Path data;
  /// When the first certificate of the chain that is served expires, seconds since 1970.
  std::optional<std::int64_t> certificate_end_unix_s = std::nullopt;
};

/// The server's paths: `/` for people, `/healthz` for supervisors, `/metrics` for Prometheus.
HttpServer::Handler MakePages(const Sources& sources);

}  // namespace tyllm::server::web
