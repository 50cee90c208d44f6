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

Status CheckVideoRate(std::optional<double> frames_per_second, const MediaArguments& media) {
  if (!frames_per_second || !media.videos.empty()) {
    return OkStatus();
  }
  return InvalidArgument(
      "--video-fps is given and no --video PATH, whose frames a second it says; give one, or leave "
      "it out");
}

}  // namespace tyllm::app
