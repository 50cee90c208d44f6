// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "worker/vision/decoders.h"
#include "worker/vision/resize.h"

// Any bytes are refused with a message or give an image whose pixels are all there.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const int orientation = vision::ExifOrientation({data, size});
  TYLLM_CHECK(orientation >= 1 && orientation <= 8);
  const auto image = vision::DecodeImage({data, size}, "image");
  if (!image.ok()) {
    TYLLM_CHECK(!image.status().message().empty());
    return 0;
  }
  TYLLM_CHECK(vision::CheckSize(image->width, image->height, "image").ok());
  TYLLM_CHECK(static_cast<std::int64_t>(image->rgb.size()) == image->width * image->height * 3);
  if (image->width * image->height <= 1 << 16) {
    const vision::Image small = vision::Resize(*image, 28, 56);
    TYLLM_CHECK(small.rgb.size() == 28 * 56 * 3);
  }
  return 0;
}
