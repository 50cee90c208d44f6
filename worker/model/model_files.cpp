// SPDX-License-Identifier: Apache-2.0
#include "worker/model/model_files.h"

#include <algorithm>
#include <filesystem>

#include "worker/model/passenger_files.h"
#include "worker/model/weight_files.h"

namespace tyllm::model {

Result<std::vector<Path>> FindModelFiles(const Path& directory) {
  TYLLM_ASSIGN(const WeightFiles weights, WeightFiles::Open(directory));
  TYLLM_ASSIGN(std::vector<Path> files, FindPassengerFiles(directory));
  const std::vector<Path> weight_files = weights.FileNames();
  files.insert(files.end(), weight_files.begin(), weight_files.end());
  std::sort(files.begin(), files.end());
  return files;
}

std::uint64_t BytesOfFiles(const Path& directory, const std::vector<Path>& files) {
  std::uint64_t total = 0;
  for (const Path& file : files) {
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(directory / file, error);
    total += error ? 0 : bytes;
  }
  return total;
}

}  // namespace tyllm::model
