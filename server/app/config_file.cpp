// SPDX-License-Identifier: Apache-2.0
#include "server/app/config_file.h"

#include <toml++/toml.h>

#include "common/base/file_system.h"
#include "common/cli/nearest.h"

namespace tyllm::server::app {

namespace {

const Setting* FindSetting(std::string_view key) {
  for (const Setting& setting : kSettings) {
    if (setting.key == key) {
      return &setting;
    }
  }
  return nullptr;
}

std::string Where(const std::string& path, const toml::source_region& source) {
  return path + ":" + std::to_string(source.begin.line) + ": ";
}

Status UnknownKey(const std::string& where, const std::string& key) {
  std::vector<std::string> known;
  for (const Setting& setting : kSettings) {
    known.emplace_back(setting.key);
  }
  const std::string_view nearest = cli::Nearest(key, known);
  return InvalidArgument(where + "there is no setting '" + key + "'" +
                         (nearest.empty() ? "; --print-config lists them all"
                                          : ", did you mean '" + std::string(nearest) + "'?"));
}

// What the member's type calls for; empty for a value of that type.
std::string_view ExpectedType(const Setting& setting, const toml::node& node) {
  if (std::holds_alternative<bool ServerConfig::*>(setting.member)) {
    return node.is_boolean() ? "" : "true or false, without quotes";
  }
  if (std::holds_alternative<std::int64_t ServerConfig::*>(setting.member)) {
    return node.is_integer() ? "" : "a whole number, without quotes";
  }
  return node.is_string() ? "" : "text in quotes";
}

std::string TextOf(const toml::node& node) {
  if (const auto* const text = node.as_string()) {
    return text->get();
  }
  if (const auto* const number = node.as_integer()) {
    return std::to_string(number->get());
  }
  const auto* const truth = node.as_boolean();
  return truth != nullptr && truth->get() ? "true" : "false";
}

Status ReadTable(const toml::table& table, const std::string& prefix, const std::string& path,
                 std::vector<FileValue>& values) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* const inner = node.as_table()) {
      TYLLM_TRY(ReadTable(*inner, key + ".", path, values));
      continue;
    }
    const std::string where = Where(path, node.source());
    const Setting* const setting = FindSetting(key);
    if (setting == nullptr) {
      return UnknownKey(where, key);
    }
    if (const std::string_view expected = ExpectedType(*setting, node); !expected.empty()) {
      return InvalidArgument(where + key + " has another type of value, expected " +
                             std::string(expected));
    }
    values.push_back({setting, TextOf(node), where + key});
  }
  return OkStatus();
}

}  // namespace

Result<std::vector<FileValue>> ReadConfigFile(const std::string& path) {
  TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(path).Annotate("configuration"));
  std::vector<FileValue> values;
  try {
    const toml::table table = toml::parse(text, path);
    TYLLM_TRY(ReadTable(table, "", path, values));
  } catch (const toml::parse_error& error) {
    return InvalidArgument(Where(path, error.source()) +
                           "not TOML: " + std::string(error.description()));
  }
  return values;
}

}  // namespace tyllm::server::app
