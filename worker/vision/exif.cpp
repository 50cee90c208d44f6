// SPDX-License-Identifier: Apache-2.0
// Orientation tag of EXIF (CIPA DC-008, TIFF's layout).
#include <utility>

#include "worker/vision/decoders.h"

namespace tyllm::vision {

namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::size_t kEntryBytes = 12;

/// Numbers of a TIFF structure in either byte order; 0 behind its end.
class Tiff {
 public:
  explicit Tiff(std::span<const std::uint8_t> bytes)
      : bytes_(bytes), little_(!bytes.empty() && bytes[0] == 'I') {}

  std::uint32_t Number(std::size_t at, std::size_t size) const {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < size && at + size <= bytes_.size(); ++i) {
      number = number << 8U | bytes_[at + (little_ ? size - 1 - i : i)];
    }
    return number;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool little_;
};

/// Where pixel (x, y) of the upright image stands in the stored one of `width` x `height`.
std::pair<std::int64_t, std::int64_t> Stored(int orientation, std::int64_t x, std::int64_t y,
                                             std::int64_t width, std::int64_t height) {
  switch (orientation) {
    case 2:
      return {width - 1 - x, y};
    case 3:
      return {width - 1 - x, height - 1 - y};
    case 4:
      return {x, height - 1 - y};
    case 5:
      return {y, x};
    case 6:
      return {y, height - 1 - x};
    case 7:
      return {width - 1 - y, height - 1 - x};
    case 8:
      return {width - 1 - y, x};
    default:
      return {x, y};
  }
}

}  // namespace

int ExifOrientation(std::span<const std::uint8_t> exif) {
  const Tiff tiff(exif);
  const std::size_t directory = tiff.Number(4, 4);
  const std::uint32_t entries = directory < exif.size() ? tiff.Number(directory, 2) : 0;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntryBytes;
    if (at + kEntryBytes > exif.size()) {
      break;
    }
    if (tiff.Number(at, 2) == kOrientationTag) {
      const std::uint32_t orientation = tiff.Number(at + 8, 2);
      return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
    }
  }
  return 1;
}

Image Upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) {
    return image;
  }
  const bool turned = orientation >= 5;
  Image upright{turned ? image.height : image.width, turned ? image.width : image.height, {}};
  upright.rgb.reserve(image.rgb.size());
  for (std::int64_t y = 0; y < upright.height; ++y) {
    for (std::int64_t x = 0; x < upright.width; ++x) {
      const auto [from_x, from_y] = Stored(orientation, x, y, image.width, image.height);
      const auto at = static_cast<std::size_t>((from_y * image.width + from_x) * 3);
      upright.rgb.insert(upright.rgb.end(), {image.rgb[at], image.rgb[at + 1], image.rgb[at + 2]});
    }
  }
  return upright;
}

}  // namespace tyllm::vision
