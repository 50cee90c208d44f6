// SPDX-License-Identifier: Apache-2.0
#include "server/app/config.h"

#include <charconv>
#include <cstdlib>

#include "server/app/clocks_by_kind.h"

namespace tyllm::server::app {

namespace {

Status CheckAddress(std::string_view key, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon > 0) {
    const char* const end = address.data() + address.size();
    const auto [last, error] = std::from_chars(address.data() + colon + 1, end, port);
    if (error == std::errc() && last == end && port >= 0 && port <= 65535) {
      return OkStatus();
    }
  }
  return InvalidArgument(std::string(key) + " is '" + address +
                         "', expected HOST:PORT with a port from 0 (any free one) to 65535");
}

Status Check(const ServerConfig& config) {
  if (config.data.empty()) {
    return InvalidArgument("data is empty, expected the name of a folder");
  }
  TYLLM_TRY(CheckAddress("listen", config.listen));
  TYLLM_TRY(CheckAddress("http", config.http));
  return ClocksByKind(config).status();
}

}  // namespace

std::optional<std::string> FromEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::vector<config::Row> RowsOf(ServerConfig& config) {
  return config::Bind(std::span<const Setting>(kSettings), kVariablePrefix, config);
}

Result<LoadedConfig> LoadConfig(config::Sources sources) {
  if (sources.file.empty()) {
    sources.file = sources.environment("TYLLM_SERVER_CONFIG").value_or("");
  }
  LoadedConfig loaded;
  std::vector<config::Row> rows = RowsOf(loaded.config);
  TYLLM_TRY(config::Load(rows, sources));
  TYLLM_TRY(Check(loaded.config));
  loaded.toml = config::ToToml(rows);
  return loaded;
}

}  // namespace tyllm::server::app
