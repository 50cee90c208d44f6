// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/settings.h"
#include "common/telemetry/log.h"
#include "common/wire/channel.h"
#include "worker/agent/config.h"
#include "worker/app/config.h"

namespace tyllm::app {

/// What an operator decides. Every member has a row in kWorkerSettings.
struct WorkerConfig {
  std::string server;
  std::string name;  ///< empty: the machine's
  std::string work;
  std::int64_t slots = 1;
  std::string device = "auto";
  std::string kinds;
  std::int64_t dies = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t cache_bytes = 50LL << 30;
  std::int64_t job_log_bytes = 256LL << 20;
  config::Pairs labels;
  std::string blobs;          ///< empty: they are fetched
  std::string toolchain;      ///< empty: beside this program
  std::string tytvm_command;  ///< empty: the vendor's toolchain is not here
  std::int64_t checkpoint_seconds = 60;
  std::int64_t stop_grace_seconds = 10;
  std::int64_t stop_seconds = 30;
  std::int64_t transfer_patience_seconds = 120;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  bool insecure = false;
  telemetry::LogFormat log_format = telemetry::LogFormat::kText;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
};

using WorkerSetting = config::Setting<WorkerConfig, telemetry::LogFormat, telemetry::LogLevel>;

inline constexpr std::string_view kWorkerVariablePrefix = "TYLLM_WORKER_";

/// The one table of what can be configured.
inline constexpr std::array kWorkerSettings{
    WorkerSetting{"server", &WorkerConfig::server, "HOST:PORT", "the farm's server", 0, 0,
                  "TYLLM_SERVER"},
    WorkerSetting{"name", &WorkerConfig::name, "NAME",
                  "this worker's name, unique in the farm; by default the machine's"},
    WorkerSetting{"work", &WorkerConfig::work, "DIR", "folder of its own for attempts and caches",
                  0, 0, "TYLLM_WORKER_DIR"},
    WorkerSetting{"slots", &WorkerConfig::slots, "N", "tasks at a time", 1, 64},
    WorkerSetting{"device", &WorkerConfig::device, "DEVICE",
                  "where jobs compute: auto, cpu or cuda:N"},
    WorkerSetting{"kinds", &WorkerConfig::kinds, "LIST",
                  "kinds of tasks that it takes, with commas between; empty: all"},
    WorkerSetting{"dies", &WorkerConfig::dies, "N",
                  "most dies of an artifact; 0: as many as the toolchain can", 0, 1024},
    WorkerSetting{"memory_bytes", &WorkerConfig::memory_bytes, "BYTES",
                  "memory that it offers; 0: what the machine or its control group has", 0,
                  std::int64_t{1} << 60},
    WorkerSetting{"cache_bytes", &WorkerConfig::cache_bytes, "BYTES",
                  "input trees kept for later tasks", 0, std::int64_t{1} << 60},
    WorkerSetting{"job_log_bytes", &WorkerConfig::job_log_bytes, "BYTES",
                  "of what a task prints, its beginning that is kept", 1 << 12,
                  std::int64_t{1} << 40},
    WorkerSetting{"labels",
                  &WorkerConfig::labels,
                  "NAME=VALUE",
                  "a property of this worker; repeatable",
                  0,
                  0,
                  {},
                  "--label"},
    WorkerSetting{"blobs", &WorkerConfig::blobs, "DIR",
                  "blob folder of a server on this machine, whose files are shared instead of "
                  "copied; tyllm-server names it to its own worker"},
    WorkerSetting{"toolchain", &WorkerConfig::toolchain, "FILE",
                  "the tyllm program that it runs; by default the one beside this one"},
    WorkerSetting{"tytvm.command", &WorkerConfig::tytvm_command, "TEXT",
                  "how the Python of the vendor's toolchain starts, for compilations with the "
                  "target tytvm",
                  0, 0, std::string_view(kVendorCommandVariable)},
    WorkerSetting{"checkpoint.seconds", &WorkerConfig::checkpoint_seconds, "N",
                  "time between uploads of unfinished work", 1, 86'400},
    WorkerSetting{"stop.grace_seconds", &WorkerConfig::stop_grace_seconds, "N",
                  "time for a job to end by itself when it is stopped", 0, 3'600},
    WorkerSetting{"stop.seconds", &WorkerConfig::stop_seconds, "N",
                  "time for the worker to hand back its work when it is stopped, in all", 0, 3'600},
    WorkerSetting{"transfer.patience_seconds", &WorkerConfig::transfer_patience_seconds, "N",
                  "a transfer in which nothing moves for so long has failed", 1, 86'400},
    WorkerSetting{"tls.ca", &WorkerConfig::tls_ca, "FILE",
                  "PEM file of the authority that vouches for the server", 0, 0, "TYLLM_TLS_CA"},
    WorkerSetting{"tls.cert", &WorkerConfig::tls_cert, "FILE",
                  "PEM file of this worker's certificate", 0, 0, "TYLLM_TLS_CERT"},
    WorkerSetting{"tls.key", &WorkerConfig::tls_key, "FILE", "PEM file of its key", 0, 0,
                  "TYLLM_TLS_KEY"},
    WorkerSetting{"insecure", &WorkerConfig::insecure, "",
                  "no encryption although the server is on another machine"},
    WorkerSetting{"log.format", &WorkerConfig::log_format, "", "form of the log on standard error"},
    WorkerSetting{"log.level", &WorkerConfig::log_level, "", "least important lines of the log"},
};

/// The table, bound to `config`, which outlives the rows.
std::vector<config::Row> RowsOf(WorkerConfig& config);

struct LoadedWorkerConfig {
  WorkerConfig config;
  std::string toml;  ///< as --print-config shows it
};

/// Settings from all sources (common/config/settings.h). Without a file: TYLLM_WORKER_CONFIG's.
Result<LoadedWorkerConfig> LoadWorkerConfig(config::Sources sources);

/// What the agent needs, checked: a server and a folder are named, the toolchain is there, kinds of
/// tasks exist.
Result<agent::AgentConfig> AgentConfigOf(const WorkerConfig& config);

wire::Security SecurityOf(const WorkerConfig& config);

}  // namespace tyllm::app
