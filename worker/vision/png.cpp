// SPDX-License-Identifier: Apache-2.0
#include <png.h>

#include <algorithm>
#include <string>
#include <utility>

#include "worker/vision/decoders.h"

namespace tyllm::vision {

namespace {

/// Keeps the first three of each four numbers.
void DropAlpha(std::vector<std::uint8_t>& numbers) {
  const std::size_t pixels = numbers.size() / 4;
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(pixel * 4), 3,
                numbers.begin() + static_cast<std::ptrdiff_t>(pixel * 3));
  }
  numbers.resize(pixels * 3);
}

/// libpng's simplified interface: errors are values, its limits on chunks hold.
class PngReader {
 public:
  PngReader() { image_.version = PNG_IMAGE_VERSION; }

  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  ~PngReader() { png_image_free(&image_); }

  Result<Image> Decode(std::span<const std::uint8_t> bytes, std::string_view what) {
    if (png_image_begin_read_from_memory(&image_, bytes.data(), bytes.size()) == 0) {
      return Broken(what);
    }
    TYLLM_TRY(CheckSize(image_.width, image_.height, what));
    const bool has_alpha = (image_.format & PNG_FORMAT_FLAG_ALPHA) != 0;
    image_.format = has_alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
    image_.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    Image image{image_.width, image_.height, {}};
    image.rgb.resize(PNG_IMAGE_SIZE(image_));
    if (png_image_finish_read(&image_, nullptr, image.rgb.data(), 0, nullptr) == 0) {
      return Broken(what);
    }
    if (has_alpha) {
      DropAlpha(image.rgb);
    }
    return image;
  }

 private:
  Status Broken(std::string_view what) const {
    return InvalidArgument(std::string(what) + " is no PNG that can be read: " + image_.message);
  }

  png_image image_{};
};

}  // namespace

Result<Image> DecodePng(std::span<const std::uint8_t> bytes, std::string_view what) {
  TYLLM_ASSIGN(Image image, PngReader().Decode(bytes, what));
  return Upright(std::move(image), PngOrientation(bytes));
}

}  // namespace tyllm::vision
