// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace tyllm::config {

/// Names with a value each, such as a worker's labels.
using Pairs = std::map<std::string, std::string>;

/// A configuration key of a program whose settings are the members of `Config`. `Enums`: types with
/// an EnumTable that members may have. A program's settings are one constexpr table of these.
///
/// The rest of a key's names follow from it: "log.format" of the program with the prefix
/// "TYLLM_SERVER_" is the TOML key `format` of the table `log`, the environment variable
/// TYLLM_SERVER_LOG_FORMAT and the flag --log-format.
template <typename Config, typename... Enums>
struct Setting {
  using Member = std::variant<std::string Config::*, bool Config::*, std::int64_t Config::*,
                              Pairs Config::*, Enums Config::*...>;

  std::string_view key;
  Member member;
  std::string_view value_name;
  std::string_view help;
  std::int64_t least = 0;  ///< of numbers
  std::int64_t most = 0;
  std::string_view variable = {};  ///< environment variable; empty: the name that follows
  std::string_view own_flag = {};  ///< likewise
};

/// "log.format" -> "--log-format".
std::string FlagOf(std::string_view key);
/// ("TYLLM_SERVER_", "log.format") -> "TYLLM_SERVER_LOG_FORMAT".
std::string VariableOf(std::string_view prefix, std::string_view key);

}  // namespace tyllm::config
