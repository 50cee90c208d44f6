// SPDX-License-Identifier: Apache-2.0
#include "worker/app/cache_folder.h"

#include <filesystem>

#include "worker/app/config.h"

namespace tyllm::app {

Path CacheFolder() {
  if (const Path own = EnvironmentVariable("TYLLM_CACHE"); !own.empty()) {
    return own;
  }
  if (const Path cache = EnvironmentVariable("XDG_CACHE_HOME"); !cache.empty()) {
    return cache / "tyllm";
  }
  if (const Path home = EnvironmentVariable("HOME"); !home.empty()) {
    return home / ".cache" / "tyllm";
  }
  std::error_code error;
  return std::filesystem::temp_directory_path(error) / "tyllm-cache";
}

}  // namespace tyllm::app
