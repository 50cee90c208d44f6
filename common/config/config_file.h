// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace tyllm::config {

struct FileValue {
  std::size_t row = 0;  ///< index of its row
  std::string text;     ///< as Row::set takes it
  std::string what;     ///< "FILE:LINE: key", for messages
};

/// The values of a TOML file, pairs one by one. A key without a row, a value of the wrong type and
/// anything that is not TOML is kInvalidArgument with file and line.
Result<std::vector<FileValue>> ReadConfigFile(const std::string& path, std::span<const Row> rows);

}  // namespace tyllm::config
