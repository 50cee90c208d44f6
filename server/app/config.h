// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"
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
  bool insecure = false;
  std::int64_t lease_seconds = 30;
  std::int64_t lease_grace_seconds = 15;
  std::int64_t attempt_stall_seconds = 30 * 60;
  std::int64_t attempt_deadline_seconds = 12 * 60 * 60;
  std::int64_t attempt_failures = 3;
  std::int64_t attempt_losses = 3;
  std::int64_t upload_idle_seconds = 60;
  std::int64_t upload_keep_hours = 72;
  std::int64_t shutdown_grace_seconds = 5;
};

/// A configuration key. The rest of its names follow from it: "log.format" is the TOML key `format`
/// of the table `log`, the environment variable TYLLM_SERVER_LOG_FORMAT and the flag --log-format.
struct Setting {
  using Member =
      std::variant<std::string ServerConfig::*, bool ServerConfig::*, std::int64_t ServerConfig::*,
                   telemetry::LogFormat ServerConfig::*, telemetry::LogLevel ServerConfig::*>;
  std::string_view key;
  Member member;
  std::string_view value_name;
  std::string_view help;
  std::int64_t least = 0;  ///< of numbers
  std::int64_t most = 0;

  std::string environment() const;
  std::string flag() const;
};

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
    Setting{"insecure", &ServerConfig::insecure, "",
            "listen without encryption also for other machines"},
    Setting{"lease.seconds", &ServerConfig::lease_seconds, "N",
            "a worker that is silent for so long has lost its tasks", 1, 86'400},
    Setting{"lease.grace_seconds", &ServerConfig::lease_grace_seconds, "N",
            "time after that before they are given to another", 0, 86'400},
    Setting{"attempt.stall_seconds", &ServerConfig::attempt_stall_seconds, "N",
            "an attempt without progress for so long is ended", 1, 30 * 86'400},
    Setting{"attempt.deadline_seconds", &ServerConfig::attempt_deadline_seconds, "N",
            "an attempt that takes longer is ended", 1, 365 * 86'400},
    Setting{"attempt.failures", &ServerConfig::attempt_failures, "N",
            "attempts that may fail before the task does", 1, 100},
    Setting{"attempt.losses", &ServerConfig::attempt_losses, "N",
            "attempts that may be lost with their worker before the task fails", 1, 100},
    Setting{"upload.idle_seconds", &ServerConfig::upload_idle_seconds, "N",
            "an upload that gets no byte for so long is ended", 1, 86'400},
    Setting{"upload.keep_hours", &ServerConfig::upload_keep_hours, "N",
            "unfinished uploads are kept for so long", 1, 24 * 365},
    Setting{"shutdown.grace_seconds", &ServerConfig::shutdown_grace_seconds, "N",
            "time for calls to end when the server stops", 0, 3'600},
};

enum class Origin : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };

inline constexpr EnumTable<Origin, 4> kOriginNames("origin",
                                                   {{{Origin::kDefault, "default"},
                                                     {Origin::kFile, "file"},
                                                     {Origin::kEnvironment, "environment"},
                                                     {Origin::kFlag, "flag"}}});

struct LoadedConfig {
  ServerConfig config;
  std::array<Origin, kSettings.size()> origins{};  ///< of each setting
};

/// What was given, in rising precedence. An empty file name: TYLLM_SERVER_CONFIG's, or no file.
struct ConfigSources {
  std::string file;
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::map<std::string, std::string> flags;  ///< key -> text
};

/// The process's environment; the only place of the server that reads it.
std::optional<std::string> FromEnvironment(const std::string& name);

/// Errors name the file and key, variable or flag. Keys of the file that are not in the table are
/// refused, with the nearest one that is. Unknown TYLLM_SERVER_... variables are not: Kubernetes
/// makes some for every service.
Result<LoadedConfig> LoadConfig(const ConfigSources& sources);

/// Sets one member from text ("30", "true", "json"); `what` names the source in errors.
Status SetFromText(const Setting& setting, std::string_view text, std::string_view what,
                   ServerConfig& config);

/// TOML that gives the same configuration, with a comment on where each value came from.
std::string ToToml(const LoadedConfig& loaded);

}  // namespace tyllm::server::app
