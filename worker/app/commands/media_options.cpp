// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/media_options.h"

namespace tyllm::app {

std::vector<vision::Medium> MediaArguments::ToMedia(std::optional<double> frames_per_second) const {
  std::vector<vision::Medium> media;
  for (const std::string& image : images) {
    media.push_back({image, false, std::nullopt});
  }
  for (const std::string& video : videos) {
    media.push_back({video, true, frames_per_second});
  }
  return media;
}

}  // namespace tyllm::app
