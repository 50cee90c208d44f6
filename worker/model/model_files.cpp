// SPDX-License-Identifier: Apache-2.0
#include "worker/model/model_files.h"

#include <algorithm>

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

}  // namespace tyllm::model
