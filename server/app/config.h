// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/settings.h"
#include "common/telemetry/log.h"

namespace tyllm::server::app {

/// What an operator decides. Every member has a row in kSettings.
struct ServerConfig {
  std::string data = "tyllm-data";
  std::string listen = "127.0.0.1:7421";
  std::string http = "127.0.0.1:7422";
  bool with_worker = false;
  std::int64_t worker_slots = 1;
  std::string worker_program;
  telemetry::LogFormat log_format = telemetry::LogFormat::kText;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string roles_client;
  std::string roles_worker;
  std::string roles_admin;
  bool insecure = false;
  std::int64_t lease_seconds = 30;
  std::int64_t lease_grace_seconds = 15;
  config::Pairs lease_by_kind;
  std::int64_t attempt_stall_seconds = 30 * 60;
  config::Pairs attempt_stall_by_kind;
  std::int64_t attempt_deadline_seconds = 12 * 60 * 60;
  config::Pairs attempt_deadline_by_kind;
  std::int64_t attempt_failures = 3;
  std::int64_t attempt_losses = 3;
  std::int64_t attempt_longest_backoff_seconds = 10 * 60;
  std::int64_t bench_failures = 3;
  std::int64_t bench_seconds = 60;
  std::int64_t placement_wait_seconds = 5;
  std::int64_t share_half_life_hours = 24;
  std::int64_t share_interactive_percent = 25;
  std::int64_t upload_idle_seconds = 60;
  std::int64_t upload_keep_hours = 72;
  std::int64_t keep_job_days = 0;
  std::int64_t keep_result_days = 0;
  std::int64_t keep_blob_hours = 72;
  std::int64_t keep_worker_days = 30;
  std::int64_t shutdown_grace_seconds = 5;
};

using Setting = config::Setting<ServerConfig, telemetry::LogFormat, telemetry::LogLevel>;

/// The one table of what can be configured.
inline constexpr std::array kSettings{
    Setting{"data", &ServerConfig::data, "DIR",
            "folder for the queue, blobs and logs; created when absent"},
    Setting{"listen", &ServerConfig::listen, "HOST:PORT", "where clients and workers call (gRPC)"},
    Setting{"http", &ServerConfig::http, "HOST:PORT",
            "where /healthz, /metrics and the status page are"},
    Setting{"with_worker", &ServerConfig::with_worker, "", "also run a worker on this machine"},
    Setting{"worker.slots", &ServerConfig::worker_slots, "N", "tasks at a time of that worker", 1,
            64},
    Setting{"worker.program", &ServerConfig::worker_program, "FILE",
            "its program; by default tyllm-worker beside this one"},
    Setting{"log.format", &ServerConfig::log_format, "", "form of the log on standard error"},
    Setting{"log.level", &ServerConfig::log_level, "", "least important lines of the log"},
    Setting{"tls.ca", &ServerConfig::tls_ca, "FILE",
            "PEM file of the authority that must vouch for clients and workers"},
    Setting{"tls.cert", &ServerConfig::tls_cert, "FILE", "PEM file of the server's certificate"},
    Setting{"tls.key", &ServerConfig::tls_key, "FILE", "PEM file of its key"},
    Setting{"roles.client", &ServerConfig::roles_client, "NAMES",
            "whose certificates may submit and follow jobs: names with commas between, * for any "
            "characters"},
    Setting{"roles.worker", &ServerConfig::roles_worker, "NAMES",
            "whose certificates may run tasks"},
    Setting{"roles.admin", &ServerConfig::roles_admin, "NAMES",
            "whose certificates may change workers and projects and copy the queue, and all that "
            "clients may"},
    Setting{"insecure", &ServerConfig::insecure, "",
            "listen without encryption also for other machines"},
    Setting{"lease.seconds", &ServerConfig::lease_seconds, "N",
            "a worker that is silent for so long has lost its tasks", 1, 86'400},
    Setting{"lease.grace_seconds", &ServerConfig::lease_grace_seconds, "N",
            "time after that before they are given to another", 0, 86'400},
    Setting{"lease.by_kind", &ServerConfig::lease_by_kind, "KIND=SECONDS",
            "the same of one kind of task, such as quantize"},
    Setting{"attempt.stall_seconds", &ServerConfig::attempt_stall_seconds, "N",
            "an attempt without progress for so long is ended", 1, 30 * 86'400},
    Setting{"attempt.stall_by_kind", &ServerConfig::attempt_stall_by_kind, "KIND=SECONDS",
            "the same of one kind of task"},
    Setting{"attempt.deadline_seconds", &ServerConfig::attempt_deadline_seconds, "N",
            "an attempt that takes longer is ended", 1, 365 * 86'400},
    Setting{"attempt.deadline_by_kind", &ServerConfig::attempt_deadline_by_kind, "KIND=SECONDS",
            "the same of one kind of task"},
    Setting{"attempt.failures", &ServerConfig::attempt_failures, "N",
            "attempts that may fail before the task does", 1, 100},
    Setting{"attempt.losses", &ServerConfig::attempt_losses, "N",
            "different workers that may be lost with a task before it fails", 1, 100},
    Setting{"attempt.longest_backoff_seconds", &ServerConfig::attempt_longest_backoff_seconds, "N",
            "longest wait before a task that failed is tried again", 0, 86'400},
    Setting{"bench.failures", &ServerConfig::bench_failures, "N",
            "a worker whose machine fails so many different tasks in a row is benched; 0: never", 0,
            1'000},
    Setting{"bench.seconds", &ServerConfig::bench_seconds, "N",
            "a benched worker gets nothing for so long, then one task to try; doubles up to 10 min",
            0, 600},
    Setting{"placement.wait_seconds", &ServerConfig::placement_wait_seconds, "N",
            "a task is left so long to a free worker that suits it better", 0, 3'600},
    Setting{"share.half_life_hours", &ServerConfig::share_half_life_hours, "N",
            "what a project used so long ago counts half", 1, 24 * 365},
    Setting{"share.interactive_percent", &ServerConfig::share_interactive_percent, "N",
            "part of all slots on which interactive tasks go before all others", 0, 100},
    Setting{"upload.idle_seconds", &ServerConfig::upload_idle_seconds, "N",
            "an upload that gets no byte for so long is ended", 1, 86'400},
    Setting{"upload.keep_hours", &ServerConfig::upload_keep_hours, "N",
            "unfinished uploads are kept for so long", 1, 24 * 365},
    Setting{"keep.job_days", &ServerConfig::keep_job_days, "N",
            "jobs that ended so long ago are deleted; 0: never", 0, 36'500},
    Setting{"keep.result_days", &ServerConfig::keep_result_days, "N",
            "results that no job used for so long are forgotten; 0: never", 0, 36'500},
    Setting{"keep.blob_hours", &ServerConfig::keep_blob_hours, "N",
            "blobs of no job and no result are removed when unused for so long; 0: never", 0,
            24 * 3'650},
    Setting{"keep.worker_days", &ServerConfig::keep_worker_days, "N",
            "workers that were not seen for so long are forgotten; 0: never", 0, 36'500},
    Setting{"shutdown.grace_seconds", &ServerConfig::shutdown_grace_seconds, "N",
            "time for calls to end when the server stops", 0, 3'600},
};

inline constexpr std::string_view kVariablePrefix = "TYLLM_SERVER_";

/// The table, bound to `config`, which outlives the rows.
std::vector<config::Row> RowsOf(ServerConfig& config);

struct LoadedConfig {
  ServerConfig config;
  std::string toml;  ///< as --print-config shows it
};

/// The process's environment; the only place of the server that reads it.
std::optional<std::string> FromEnvironment(const std::string& name);

/// Settings from all sources (common/config/settings.h). Without a file: TYLLM_SERVER_CONFIG's.
Result<LoadedConfig> LoadConfig(config::Sources sources);

}  // namespace tyllm::server::app
