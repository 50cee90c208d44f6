// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/media_options.h"

#include <initializer_list>
#include <utility>

namespace tyllm::app {

std::vector<vision::Medium> MediaArguments::ToMedia() const {
  std::vector<vision::Medium> media;
  for (const std::string& image : images) {
    media.push_back({image, false, std::nullopt});
  }
  for (const std::string& video : videos) {
    media.push_back({video, true, frames_per_second});
  }
  return media;
}

void AddMediaOptions(cli::CommandSpec& spec, MediaArguments& arguments) {
  for (cli::Option option : std::initializer_list<cli::Option>{
           {"--image", "FILE", "PNG, JPEG or WebP that the prompt is about; may be repeated",
            &arguments.images},
           {"--video", "PATH", "a video file, or a folder with one image a frame; may be repeated",
            &arguments.videos},
           {"--video-fps", "N",
            "frames a second of --video, of which some are chosen; without it all are used",
            &arguments.frames_per_second},
       }) {
    spec.options.push_back(std::move(option));
  }
}

}  // namespace tyllm::app
