// SPDX-License-Identifier: Apache-2.0
// Apart from image.cpp, whose libraries the plug-in for video files does without.
#include <string>

#include "worker/vision/image.h"

namespace tyllm::vision {

Status CheckSize(std::int64_t width, std::int64_t height, std::string_view what) {
  if (width >= 1 && height >= 1 && width <= kLongestSide && height <= kLongestSide &&
      width * height <= kMostPixels) {
    return OkStatus();
  }
  return InvalidArgument(std::string(what) + " has " + std::to_string(width) + " x " +
                         std::to_string(height) + " pixels, expected 1 to " +
                         std::to_string(kLongestSide) + " on a side and at most " +
                         std::to_string(kMostPixels) + " in all; make it smaller");
}

}  // namespace tyllm::vision
