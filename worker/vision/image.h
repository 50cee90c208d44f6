// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::vision {

/// 8 bits of red, green and blue a pixel, rows from top to bottom.
struct Image {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> rgb;  ///< [height, width, 3]
};

/// Larger images are refused before anything is decoded: 64 million pixels, 65535 on a side.
inline constexpr std::int64_t kMostPixels = 64'000'000;
inline constexpr std::int64_t kLongestSide = 65535;

/// kInvalidArgument when an image of this size is empty or too large; `what` names it.
Status CheckSize(std::int64_t width, std::int64_t height, std::string_view what);

/// Decodes a PNG, a JPEG or, where this build has libwebp, a WebP; which it is, the bytes say.
/// Transparency is dropped, a JPEG is turned as its EXIF orientation says. Errors name `what` and
/// what is wrong.
Result<Image> DecodeImage(std::span<const std::uint8_t> bytes, std::string_view what);

Result<Image> ReadImage(const Path& path);

}  // namespace tyllm::vision
