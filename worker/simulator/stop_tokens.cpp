// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/stop_tokens.h"

#include <array>
#include <filesystem>
#include <string>

#include "common/format/json.h"

namespace tyllm::simulator {

namespace {

constexpr std::string_view kKey = "eos_token_id";
constexpr std::array<std::string_view, 2> kFiles{"generation_config.json", "config.json"};

/// A single number counts as a list of one.
Result<std::vector<std::int32_t>> ReadIds(const format::Json& value, const std::string& what) {
  if (value.is_array()) {
    return format::FromJson<std::vector<std::int32_t>>(value, what);
  }
  TYLLM_ASSIGN(const auto id, format::FromJson<std::int32_t>(value, what));
  return std::vector<std::int32_t>{id};
}

}  // namespace

Result<std::vector<std::int32_t>> StopTokens(const Path& directory) {
  for (const std::string_view name : kFiles) {
    const Path path = directory / name;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      continue;
    }
    TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
    if (json.is_object() && json.contains(kKey) && !json.at(std::string(kKey)).is_null()) {
      return ReadIds(json.at(std::string(kKey)), path.string() + ": " + std::string(kKey));
    }
  }
  return std::vector<std::int32_t>{};
}

}  // namespace tyllm::simulator
