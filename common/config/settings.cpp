// SPDX-License-Identifier: Apache-2.0
#include "common/config/settings.h"

#include <charconv>

#include "common/config/config_file.h"

namespace tyllm::config {

namespace {

Status WrongValue(std::string_view what, std::string_view text, const std::string& expected) {
  return InvalidArgument(std::string(what) + " is '" + std::string(text) + "', expected " +
                         expected);
}

Status Set(Row& row, std::string_view text, const std::string& what, Origin origin) {
  row.origin = origin;
  return row.set(text, what);
}

Status SetFromVariable(Row& row, std::string_view text) {
  const std::string what = "environment variable " + row.variable;
  if (row.type != ValueType::kPairs) {
    return Set(row, text, what, Origin::kEnvironment);
  }
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    TYLLM_TRY(Set(row, text.substr(0, comma), what, Origin::kEnvironment));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return OkStatus();
}

}  // namespace

std::string FlagOf(std::string_view key) {
  std::string name = "--";
  for (const char c : key) {
    name += c == '.' || c == '_' ? '-' : c;
  }
  return name;
}

std::string VariableOf(std::string_view prefix, std::string_view key) {
  std::string name(prefix);
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

Status Load(std::span<Row> rows, const Sources& sources) {
  if (!sources.file.empty()) {
    TYLLM_ASSIGN(const auto values, ReadConfigFile(sources.file, rows));
    for (const FileValue& value : values) {
      TYLLM_TRY(Set(rows[value.row], value.text, value.what, Origin::kFile));
    }
  }
  for (Row& row : rows) {
    if (const auto text = sources.environment(row.variable)) {
      TYLLM_TRY(SetFromVariable(row, *text));
    }
  }
  for (Row& row : rows) {
    if (const auto it = sources.flags.find(row.key); it != sources.flags.end()) {
      for (const std::string& text : it->second) {
        TYLLM_TRY(Set(row, text, row.flag, Origin::kFlag));
      }
    }
  }
  return OkStatus();
}

std::string ToToml(std::span<const Row> rows) {
  std::string toml;
  for (const Row& row : rows) {
    toml +=
        row.key + " = " + row.toml() + "  # " + std::string(kOriginNames.Name(row.origin)) + "\n";
  }
  return toml;
}

namespace parts {

Row Named(std::string_view key, std::string_view variable_prefix, std::string_view variable,
          std::string_view flag) {
  Row row;
  row.key = key;
  row.flag = flag.empty() ? FlagOf(key) : std::string(flag);
  row.variable = variable.empty() ? VariableOf(variable_prefix, key) : std::string(variable);
  return row;
}

Result<std::int64_t> Number(std::string_view text, std::string_view what, std::int64_t least,
                            std::int64_t most) {
  std::int64_t value = 0;
  const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || last != text.data() + text.size() || value < least || value > most) {
    return WrongValue(
        what, text, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

Result<bool> Truth(std::string_view text, std::string_view what) {
  if (text != "true" && text != "false") {
    return WrongValue(what, text, "true or false");
  }
  return text == "true";
}

Status AddPair(std::string_view text, std::string_view what, Pairs& pairs) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return WrongValue(what, text, "NAME=VALUE");
  }
  pairs[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  return OkStatus();
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    quoted += c;
  }
  return quoted + '"';
}

std::string TomlOf(const Pairs& pairs) {
  std::string toml;
  for (const auto& [name, value] : pairs) {
    toml += (toml.empty() ? " " : ", ") + Quoted(name) + " = " + Quoted(value);
  }
  return "{" + toml + (toml.empty() ? "}" : " }");
}

}  // namespace parts

}  // namespace tyllm::config
