// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/cli/command.h"
#include "worker/vision/medium.h"

namespace tyllm::app {

/// Options of commands that take a prompt: images and videos that it is about.
struct MediaArguments {
  std::vector<std::string> images;
  std::vector<std::string> videos;
  std::optional<double> frames_per_second;

  /// Images first, each kind in the order of the command line.
  std::vector<vision::Medium> ToMedia() const;
};

/// `arguments` outlives the spec.
void AddMediaOptions(cli::CommandSpec& spec, MediaArguments& arguments);

}  // namespace tyllm::app
