// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/visual_config.h"

#include "worker/artifact/buffer_config.h"
#include "worker/artifact/visual_layout.h"

namespace tyllm::artifact {

Result<VisualConfig> ReadVisualConfig(const Path& folder) {
  const Path path = folder / kVisualFolder / kBufferConfigFile;
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
  TYLLM_ASSIGN(VisualConfig config, format::FromJson<VisualConfig>(json, path.string()));
  if (config.version != 1) {
    return FailedPrecondition(path.string() + " has version " + std::to_string(config.version) +
                              ", expected 1; compile the model again");
  }
  const auto dies = std::ssize(config.die_list);
  if (dies < 1 || dies > 16 || config.width < 1 || config.height < 1 || config.frames < 1) {
    return DataLoss(path.string() + " has " + std::to_string(dies) + " dies for images of " +
                    std::to_string(config.width) + " x " + std::to_string(config.height) +
                    ", expected 1 to 16 dies and a size; compile the model again");
  }
  return config;
}

}  // namespace tyllm::artifact
