// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/own_names.h"

#include <algorithm>
#include <array>
#include <string>

#include "worker/artifact/layout.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/finished_params.h"

namespace tyllm::compile {

bool IsOwnName(const Path& relative) {
  static constexpr std::array<std::string_view, 14> kNames = {
      artifact::kBatchFolder,       artifact::kVisualFolder,      artifact::kMropeFolder,
      FinishedParams::kFolder,      artifact::kBufferConfigFile,  artifact::kManifestFile,
      artifact::kEmptyFile,         artifact::kGoldenFile,        artifact::kVisualGoldenFile,
      artifact::kVerificationFile,  artifact::kEmbeddingFile,     artifact::kEmbeddingParamsFile,
      artifact::kComputeRopeObject, artifact::kComputeRopeParams,
  };
  return !relative.empty() && std::ranges::find(kNames, relative.begin()->string()) != kNames.end();
}

Status CheckPassengers(const std::vector<Path>& passengers, const Path& model) {
  constexpr std::size_t kNamed = 3;
  std::string named;
  std::size_t count = 0;
  for (const Path& passenger : passengers) {
    if (IsOwnName(passenger) && ++count <= kNamed) {
      named += (named.empty() ? "" : ", ") + passenger.generic_string();
    }
  }
  if (count == 0) {
    return OkStatus();
  }
  if (count > kNamed) {
    named += " and " + std::to_string(count - kNamed) + " more";
  }
  return InvalidArgument(model.string() + " has " + named +
                         ", names that a compiled model has for its own files, where the model's "
                         "files travel with it; rename or move them out of the model directory");
}

}  // namespace tyllm::compile
