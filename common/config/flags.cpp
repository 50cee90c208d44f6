// SPDX-License-Identifier: Apache-2.0
#include "common/config/flags.h"

namespace tyllm::config {

Flags::Flags(std::span<const Row> rows) {
  for (const Row& row : rows) {
    flags_.push_back({.row = row, .truth = false, .text = {}, .pairs = {}});
  }
}

cli::Option Flags::Declare(Flag& flag) {
  const Row& row = flag.row;
  switch (row.type) {
    case ValueType::kTruth:
      return {row.flag, "", row.help, &flag.truth};
    case ValueType::kPairs:
      return {row.flag, row.value_name, row.help, &flag.pairs};
    case ValueType::kText:
    case ValueType::kNumber:
      break;
  }
  return {row.flag, row.value_name.empty() ? "NAME" : std::string_view(row.value_name), row.help,
          &flag.text};
}

std::vector<cli::Option> Flags::Declare() {
  std::vector<cli::Option> options;
  options.reserve(flags_.size());
  for (Flag& flag : flags_) {
    options.push_back(Declare(flag));
  }
  return options;
}

std::map<std::string, std::vector<std::string>> Flags::Given() const {
  std::map<std::string, std::vector<std::string>> given;
  for (const Flag& flag : flags_) {
    if (flag.truth) {
      given[flag.row.key] = {"true"};
    } else if (flag.text) {
      given[flag.row.key] = {*flag.text};
    } else if (!flag.pairs.empty()) {
      given[flag.row.key] = flag.pairs;
    }
  }
  return given;
}

}  // namespace tyllm::config
