// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/result.h"
#include "common/config/setting.h"

// Settings from a TOML file, the environment and flags, in rising precedence.
namespace tyllm::config {

enum class Origin : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };

inline constexpr EnumTable<Origin, 4> kOriginNames("origin",
                                                   {{{Origin::kDefault, "default"},
                                                     {Origin::kFile, "file"},
                                                     {Origin::kEnvironment, "environment"},
                                                     {Origin::kFlag, "flag"}}});

/// What a value is in a TOML file.
enum class ValueType : std::uint8_t { kText, kTruth, kNumber, kPairs };

/// A setting that is bound to one configuration, as the machinery sees it.
struct Row {
  std::string key;
  std::string flag;
  std::string variable;
  std::string value_name;
  std::string help;
  ValueType type = ValueType::kText;
  /// Sets the value from text ("30", "true", "json"; of pairs one "NAME=VALUE", which is added);
  /// `what` names the source in errors.
  std::function<Status(std::string_view text, std::string_view what)> set;
  std::function<std::string()> toml;  ///< the value as TOML
  Origin origin = Origin::kDefault;
};

/// What was given, in rising precedence.
struct Sources {
  std::string file;  ///< empty: none
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::map<std::string, std::vector<std::string>> flags;  ///< key -> texts
};

/// Reads all sources into what the rows are bound to. Errors name the file and line, variable or
/// flag. Keys of the file that are not in the table are refused, with the nearest one that is.
/// Unknown variables are not: Kubernetes makes some for every service. A variable of pairs is
/// "NAME=VALUE,NAME=VALUE".
Status Load(std::span<Row> rows, const Sources& sources);

/// TOML that gives the same configuration, with a comment on where each value came from.
std::string ToToml(std::span<const Row> rows);

namespace parts {

Row Named(std::string_view key, std::string_view variable_prefix, std::string_view variable,
          std::string_view flag);
Result<std::int64_t> Number(std::string_view text, std::string_view what, std::int64_t least,
                            std::int64_t most);
Result<bool> Truth(std::string_view text, std::string_view what);
Status AddPair(std::string_view text, std::string_view what, Pairs& pairs);
std::string Quoted(std::string_view text);
std::string TomlOf(const Pairs& pairs);

inline void Bind(std::string& value, Row& row, std::int64_t, std::int64_t) {
  row.type = ValueType::kText;
  row.set = [&value](std::string_view text, std::string_view) -> Status {
    value = std::string(text);
    return OkStatus();
  };
  row.toml = [&value] { return Quoted(value); };
}

inline void Bind(bool& value, Row& row, std::int64_t, std::int64_t) {
  row.type = ValueType::kTruth;
  row.set = [&value](std::string_view text, std::string_view what) -> Status {
    TYLLM_ASSIGN(value, Truth(text, what));
    return OkStatus();
  };
  row.toml = [&value] { return std::string(value ? "true" : "false"); };
}

inline void Bind(std::int64_t& value, Row& row, std::int64_t least, std::int64_t most) {
  row.type = ValueType::kNumber;
  row.set = [&value, least, most](std::string_view text, std::string_view what) -> Status {
    TYLLM_ASSIGN(value, Number(text, what, least, most));
    return OkStatus();
  };
  row.toml = [&value] { return std::to_string(value); };
}

inline void Bind(Pairs& value, Row& row, std::int64_t, std::int64_t) {
  row.type = ValueType::kPairs;
  row.set = [&value](std::string_view text, std::string_view what) {
    return AddPair(text, what, value);
  };
  row.toml = [&value] { return TomlOf(value); };
}

template <typename E>
  requires std::is_enum_v<E>
void Bind(E& value, Row& row, std::int64_t, std::int64_t) {
  row.type = ValueType::kText;
  row.set = [&value](std::string_view text, std::string_view what) -> Status {
    TYLLM_ASSIGN(value, NamesOf(E{}).Parse(text).Annotate(what));
    return OkStatus();
  };
  row.toml = [&value] { return Quoted(NamesOf(value).Name(value)); };
}

}  // namespace parts

/// The rows of a table, bound to `config`, which outlives them.
template <typename Config, typename... Enums>
std::vector<Row> Bind(std::span<const Setting<Config, Enums...>> table,
                      std::string_view variable_prefix, Config& config) {
  std::vector<Row> rows;
  for (const Setting<Config, Enums...>& setting : table) {
    Row row = parts::Named(setting.key, variable_prefix, setting.variable, setting.own_flag);
    row.value_name = setting.value_name;
    row.help = setting.help;
    std::visit([&](auto member) { parts::Bind(config.*member, row, setting.least, setting.most); },
               setting.member);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace tyllm::config
