// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "common/base/file_system.h"
#include "worker/vision/video.h"

namespace tyllm::vision {

inline constexpr int kVideoPluginAbi = 1;

/// Numbers of the frames that are looked at, ascending, of so many at so many a second.
using ChooseFrames = std::function<std::vector<std::int64_t>(std::int64_t frames, double rate)>;

/// What libtyllm_video.so exports as `tyllm_video_plugin`.
struct VideoPlugin {
  int abi = 0;
  /// As ReadVideoFile, with the frames that `choose` names.
  Result<Video> (*read)(const Path& path, const ChooseFrames& choose,
                        std::optional<double> frames_per_second) = nullptr;
};

}  // namespace tyllm::vision
