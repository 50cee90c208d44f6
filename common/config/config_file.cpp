// SPDX-License-Identifier: Apache-2.0
#include "common/config/config_file.h"

#include <toml++/toml.h>

#include "common/base/file_system.h"
#include "common/cli/nearest.h"

namespace tyllm::config {

namespace {

std::string Where(const std::string& path, const toml::source_region& source) {
  return path + ":" + std::to_string(source.begin.line) + ": ";
}

// What the row's type calls for; empty for a value of that type.
std::string_view ExpectedType(ValueType type, const toml::node& node) {
  switch (type) {
    case ValueType::kTruth:
      return node.is_boolean() ? "" : "true or false, without quotes";
    case ValueType::kNumber:
      return node.is_integer() ? "" : "a whole number, without quotes";
    case ValueType::kPairs:
      return node.is_table() ? "" : "a table of names with texts in quotes";
    case ValueType::kText:
      return node.is_string() ? "" : "text in quotes";
  }
  return "";
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

/// Walks a file's tables.
class Reader {
 public:
  Reader(const std::string& path, std::span<const Row> rows) : path_(path), rows_(rows) {}

  Status Read(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      const auto row =
          std::find_if(rows_.begin(), rows_.end(), [&](const Row& one) { return one.key == key; });
      if (row != rows_.end()) {
        TYLLM_TRY(Take(static_cast<std::size_t>(row - rows_.begin()), node));
      } else if (const toml::table* const inner = node.as_table()) {
        TYLLM_TRY(Read(*inner, key + "."));
      } else {
        return UnknownKey(Where(path_, node.source()), key);
      }
    }
    return OkStatus();
  }

  std::vector<FileValue> Take() { return std::move(values_); }

 private:
  Status Take(std::size_t row, const toml::node& node) {
    const std::string& key = rows_[row].key;
    const std::string where = Where(path_, node.source());
    if (const std::string_view expected = ExpectedType(rows_[row].type, node); !expected.empty()) {
      return InvalidArgument(where + key + " has another type of value, expected " +
                             std::string(expected));
    }
    if (const toml::table* const pairs = node.as_table()) {
      return TakePairs(row, *pairs);
    }
    values_.push_back({row, TextOf(node), where + key});
    return OkStatus();
  }

  Status TakePairs(std::size_t row, const toml::table& pairs) {
    for (const auto& [name, node] : pairs) {
      const std::string what =
          Where(path_, node.source()) + rows_[row].key + "." + std::string(name.str());
      if (!node.is_string()) {
        return InvalidArgument(what + " has another type of value, expected text in quotes");
      }
      values_.push_back({row, std::string(name.str()) + "=" + TextOf(node), what});
    }
    return OkStatus();
  }

  Status UnknownKey(const std::string& where, const std::string& key) const {
    std::vector<std::string> known;
    for (const Row& row : rows_) {
      known.push_back(row.key);
    }
    const std::string_view nearest = cli::Nearest(key, known);
    return InvalidArgument(where + "there is no setting '" + key + "'" +
                           (nearest.empty() ? "; --print-config lists them all"
                                            : ", did you mean '" + std::string(nearest) + "'?"));
  }

  const std::string& path_;
  std::span<const Row> rows_;
  std::vector<FileValue> values_;
};

}  // namespace

Result<std::vector<FileValue>> ReadConfigFile(const std::string& path, std::span<const Row> rows) {
  TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(path).Annotate("configuration"));
  Reader reader(path, rows);
  try {
    const toml::table table = toml::parse(text, path);
    TYLLM_TRY(reader.Read(table, ""));
  } catch (const toml::parse_error& error) {
    return InvalidArgument(Where(path, error.source()) +
                           "not TOML: " + std::string(error.description()));
  }
  return reader.Take();
}

}  // namespace tyllm::config
