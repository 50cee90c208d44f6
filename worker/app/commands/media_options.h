// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "worker/vision/medium.h"

namespace tyllm::app {

/// Files of a command line that a prompt is about.
struct MediaArguments {
  std::vector<std::string> images;
  std::vector<std::string> videos;

  /// Images first, each kind in the order of the command line.
  std::vector<vision::Medium> ToMedia(std::optional<double> frames_per_second) const;
};

/// kInvalidArgument where --video-fps is given and no video that it is of.
Status CheckVideoRate(std::optional<double> frames_per_second, const MediaArguments& media);

}  // namespace tyllm::app
