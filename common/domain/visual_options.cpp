// SPDX-License-Identifier: Apache-2.0
#include "common/domain/visual_options.h"

#include <charconv>

namespace tyllm::domain {

namespace {

constexpr std::int64_t kLargestSide = 16384;
constexpr std::int64_t kMostFrames = 768;

/// A side of an image, all of `text`; 0 when it is none.
std::int64_t Side(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool fine = error == std::errc() && end == text.data() + text.size();
  return fine && value >= 1 && value <= kLargestSide ? value : 0;
}

}  // namespace

Result<ImageSize> ParseImageSize(std::string_view text) {
  const std::size_t cross = text.find('x');
  if (cross != std::string_view::npos) {
    const ImageSize size{Side(text.substr(0, cross)), Side(text.substr(cross + 1))};
    if (size.width > 0 && size.height > 0) {
      return size;
    }
  }
  return InvalidArgument("image is '" + std::string(text) +
                         "', expected width x height in pixels such as 960x540, each 1 to " +
                         std::to_string(kLargestSide));
}

Status CheckFrames(const VisualOptions& options) {
  if (options.frames >= 1 && options.frames <= kMostFrames) {
    return OkStatus();
  }
  return InvalidArgument("frames is " + std::to_string(options.frames) + ", expected 1 to " +
                         std::to_string(kMostFrames));
}

Status Check(const VisualOptions& options) {
  TYLLM_TRY(ParseImageSize(options.image).status());
  return CheckFrames(options);
}

}  // namespace tyllm::domain
