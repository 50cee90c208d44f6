// SPDX-License-Identifier: Apache-2.0
#pragma once

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
};

/// The server's paths: `/` for people, `/healthz` for supervisors, `/metrics` for Prometheus.
HttpServer::Handler MakePages(const Sources& sources);

}  // namespace tyllm::server::web
