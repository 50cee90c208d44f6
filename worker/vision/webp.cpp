// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "worker/vision/decoders.h"

#ifdef TYLLM_WITH_WEBP
#include <webp/decode.h>
#endif

namespace tyllm::vision {

#ifdef TYLLM_WITH_WEBP

Result<Image> DecodeWebp(std::span<const std::uint8_t> bytes, std::string_view what) {
  int width = 0;
  int height = 0;
  const auto broken = [what] {
    return InvalidArgument(std::string(what) +
                           " is no WebP that can be read: it is damaged, cut off or an animation");
  };
  if (WebPGetInfo(bytes.data(), bytes.size(), &width, &height) == 0) {
    return broken();
  }
  TYLLM_TRY(CheckSize(width, height, what));
  Image image{width, height, {}};
  image.rgb.resize(static_cast<std::size_t>(image.width * image.height) * 3);
  if (WebPDecodeRGBInto(bytes.data(), bytes.size(), image.rgb.data(), image.rgb.size(),
                        width * 3) == nullptr) {
    return broken();
  }
  return Upright(std::move(image), WebpOrientation(bytes));
}

#else

Result<Image> DecodeWebp(std::span<const std::uint8_t>, std::string_view what) {
  return Unimplemented(std::string(what) +
                       " is a WebP image, and this build has no libwebp; save it as PNG or JPEG");
}

#endif

}  // namespace tyllm::vision
