// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "server/app/config.h"

namespace tyllm::server::app {

struct FileValue {
  const Setting* setting;
  std::string text;  ///< as SetFromText takes it
  std::string what;  ///< "FILE:LINE: key", for messages
};

/// The values of a TOML file. A key that is not in kSettings, a value of the wrong type and
/// anything that is not TOML is kInvalidArgument with file and line.
Result<std::vector<FileValue>> ReadConfigFile(const std::string& path);

}  // namespace tyllm::server::app
