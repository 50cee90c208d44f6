// SPDX-License-Identifier: Apache-2.0
#include "common/base/list_folder.h"

#include <system_error>

namespace tyllm {

Result<std::vector<Path>> ListFolder(const Path& folder) {
  std::vector<Path> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  while (!error && entry != std::filesystem::directory_iterator()) {
    found.push_back(entry->path());
    entry.increment(error);
  }
  if (error) {
    return FromErrno(error.value(), "reading the folder " + folder.string());
  }
  return found;
}

}  // namespace tyllm
