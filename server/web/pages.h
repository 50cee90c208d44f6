// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/telemetry/metrics.h"
#include "server/core/farm.h"
#include "server/core/last_backup.h"
#include "server/web/http_server.h"

namespace tyllm::server::web {

/// What pages are made from; all of it outlives the server.
struct Sources {
  core::Farm& farm;
  telemetry::Metrics& metrics;
  FileSystem& files;
  Path data;
  /// By which backups and certificates are made; the farm's goes on evenly and may be behind it.
  const Clock& machine;
  core::BackupAge& backup_age;
  /// When the first certificate of the chain that is served expires, seconds since 1970.
  std::optional<std::int64_t> certificate_end_unix_s = std::nullopt;
};

/// The server's paths: `/` for people, `/healthz` for supervisors, `/metrics` for Prometheus.
HttpServer::Handler MakePages(const Sources& sources);

}  // namespace tyllm::server::web
