// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/stop_tokens.h"

#include <string>

#include "common/format/json.h"

namespace tyllm::forward {

namespace {

constexpr const char* kKey = "eos_token_id";

Result<std::vector<std::int32_t>> ReadFrom(const Path& path, FileSystem& files) {
  std::vector<std::int32_t> tokens;
  const Result<std::string> text = files.Read(path);
  if (!text.ok()) {
    return text.status().code() == StatusCode::kNotFound ? Result<std::vector<std::int32_t>>(tokens)
                                                         : text.status();
  }
  TYLLM_ASSIGN(const format::Json json, format::ParseJson(*text, path.string()));
  if (!json.is_object() || !json.contains(kKey) || json[kKey].is_null()) {
    return tokens;
  }
  const format::Json list = json[kKey].is_array() ? json[kKey] : format::Json::array({json[kKey]});
  TYLLM_TRY(
      format::ReadInto(list, path.string() + ": " + kKey, format::UnknownKeys::kIgnore, tokens));
  return tokens;
}

}  // namespace

Result<std::vector<std::int32_t>> ReadStopTokens(const Path& directory, FileSystem& files) {
  TYLLM_ASSIGN(const std::vector<std::int32_t> tokens,
               ReadFrom(directory / "generation_config.json", files));
  return tokens.empty() ? ReadFrom(directory / "config.json", files)
                        : Result<std::vector<std::int32_t>>(tokens);
}

}  // namespace tyllm::forward
