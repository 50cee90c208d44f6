// SPDX-License-Identifier: Apache-2.0
#include "worker/app/vendor_command.h"

#include <sstream>

#include "worker/app/config.h"

namespace tyllm::app {

compile::VendorSettings VendorSettingsOf(const std::string& command) {
  std::istringstream words(command.empty() ? EnvironmentVariable(kVendorCommandVariable) : command);
  compile::VendorSettings settings;
  for (std::string word; words >> word;) {
    settings.command.push_back(word);
  }
  return settings;
}

}  // namespace tyllm::app
