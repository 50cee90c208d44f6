// SPDX-License-Identifier: Apache-2.0
#include "worker/app/worker_config.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>

#include "worker/app/installed.h"

namespace tyllm::app {

namespace {

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "worker";
}

Result<std::vector<domain::TaskKind>> KindsOf(std::string_view list) {
  std::vector<domain::TaskKind> kinds;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    TYLLM_ASSIGN(const domain::TaskKind kind,
                 domain::kTaskKindNames.Parse(list.substr(0, comma)).Annotate("kinds"));
    kinds.push_back(kind);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return kinds;
}

Status CheckNamed(const WorkerConfig& config) {
  if (config.server.empty()) {
    return InvalidArgument("no server is named; give --server HOST:PORT or set TYLLM_SERVER");
  }
  if (config.work.empty()) {
    return InvalidArgument(
        "no folder to work in is named; give --work DIR or set TYLLM_WORKER_DIR");
  }
  return OkStatus();
}

}  // namespace

std::vector<config::Row> RowsOf(WorkerConfig& config) {
  return config::Bind(std::span<const WorkerSetting>(kWorkerSettings), kWorkerVariablePrefix,
                      config);
}

Result<LoadedWorkerConfig> LoadWorkerConfig(config::Sources sources) {
  if (sources.file.empty()) {
    sources.file = sources.environment("TYLLM_WORKER_CONFIG").value_or("");
  }
  LoadedWorkerConfig loaded;
  std::vector<config::Row> rows = RowsOf(loaded.config);
  TYLLM_TRY(config::Load(rows, sources));
  loaded.toml = config::ToToml(rows);
  return loaded;
}

Result<agent::AgentConfig> AgentConfigOf(const WorkerConfig& config) {
  TYLLM_TRY(CheckNamed(config));
  agent::AgentConfig agent;
  agent.server = config.server;
  agent.name = config.name.empty() ? HostName() : config.name;
  agent.work = std::filesystem::absolute(config.work);
  agent.toolchain = config.toolchain.empty() ? ProgramFolder() / "tyllm" : Path(config.toolchain);
  if (::access(agent.toolchain.c_str(), X_OK) != 0) {
    return NotFound("the toolchain program " + agent.toolchain.string() +
                    " is not there or not executable; give --toolchain FILE");
  }
  TYLLM_ASSIGN(agent.kinds, KindsOf(config.kinds));
  if (!config.blobs.empty()) {
    agent.blobs = std::filesystem::absolute(config.blobs);
  }
  agent.device = config.device;
  agent.slots = static_cast<std::int32_t>(config.slots);
  agent.memory_bytes = config.memory_bytes;
  agent.dies = config.dies;
  agent.cache_bytes = config.cache_bytes;
  agent.job_log_bytes = config.job_log_bytes;
  agent.labels = config.labels;
  agent.grace = std::chrono::seconds(config.stop_grace_seconds);
  agent.farewell = std::chrono::seconds(config.stop_seconds);
  agent.patience = std::chrono::seconds(config.transfer_patience_seconds);
  agent.checkpoint = std::chrono::seconds(config.checkpoint_seconds);
  return agent;
}

wire::Security SecurityOf(const WorkerConfig& config) {
  wire::Security security;
  security.tls.ca = config.tls_ca;
  security.tls.certificate = config.tls_cert;
  security.tls.key = config.tls_key;
  security.insecure = config.insecure;
  return security;
}

}  // namespace tyllm::app
