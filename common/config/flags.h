// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/cli/command.h"
#include "common/config/settings.h"

namespace tyllm::config {

/// The command line of a program that is configured by a table: a flag for each row. The options
/// are bound to this object.
class Flags {
 public:
  explicit Flags(std::span<const Row> rows);
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;

  std::vector<cli::Option> Declare();
  /// What was given, for Sources.
  std::map<std::string, std::vector<std::string>> Given() const;

 private:
  struct Flag {
    Row row;
    bool truth = false;
    std::optional<std::string> text;
    std::vector<std::string> pairs;
  };

  static cli::Option Declare(Flag& flag);

  std::deque<Flag> flags_;
};

}  // namespace tyllm::config
