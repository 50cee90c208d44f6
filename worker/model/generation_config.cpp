// SPDX-License-Identifier: Apache-2.0
#include "worker/model/generation_config.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include "common/format/json.h"

namespace tyllm::model {

namespace {

constexpr std::string_view kKey = "eos_token_id";
constexpr std::array<std::string_view, 2> kFiles{"generation_config.json", "config.json"};

// A single number counts as a list of one.
Result<std::vector<TokenId>> ReadIds(const format::Json& value, const std::string& what) {
  std::vector<TokenId> ids;
  if (value.is_array()) {
    TYLLM_ASSIGN(ids, format::FromJson<std::vector<TokenId>>(value, what));
  } else {
    TYLLM_ASSIGN(const auto id, format::FromJson<TokenId>(value, what));
    ids.push_back(id);
  }
  std::vector<TokenId> unique;
  for (const TokenId id : ids) {
    if (id < 0) {
      return InvalidArgument(what + " is " + std::to_string(id) + ", expected ids from 0 on");
    }
    if (std::find(unique.begin(), unique.end(), id) == unique.end()) {
      unique.push_back(id);
    }
  }
  return unique;
}

// The value of kKey in `json` or its text_config; nullptr when it is absent or null.
const format::Json* FindIds(const format::Json& json) {
  for (const format::Json* object = &json; object != nullptr && object->is_object();) {
    if (const auto found = object->find(kKey); found != object->end() && !found->is_null()) {
      return &*found;
    }
    const auto inner = object->find("text_config");
    object = inner == object->end() ? nullptr : &*inner;
  }
  return nullptr;
}

}  // namespace

Result<std::vector<TokenId>> StopTokens(const Path& directory) {
  for (const std::string_view name : kFiles) {
    const Path path = directory / name;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      continue;
    }
    TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
    if (const format::Json* ids = FindIds(json)) {
      return ReadIds(*ids, path.string() + ": " + std::string(kKey));
    }
  }
  return std::vector<TokenId>{};
}

}  // namespace tyllm::model
