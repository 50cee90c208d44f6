// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/vision/image.h"

namespace tyllm::vision {

// One decoder a file format, each in a unit of its own: the only places that see its library.
// `bytes` begin as files of the format do. Every length and size is checked before memory is taken.

Result<Image> DecodePng(std::span<const std::uint8_t> bytes, std::string_view what);
Result<Image> DecodeJpeg(std::span<const std::uint8_t> bytes, std::string_view what);
/// kUnimplemented in a build without libwebp.
Result<Image> DecodeWebp(std::span<const std::uint8_t> bytes, std::string_view what);

/// The orientation, 1 to 8, that the data of an EXIF marker (after "Exif\0\0") says; 1 where it
/// does not say one or is damaged.
int ExifOrientation(std::span<const std::uint8_t> exif);

/// The same of a whole PNG file (its eXIf chunk) or WebP file (its EXIF chunk).
int PngOrientation(std::span<const std::uint8_t> file);
int WebpOrientation(std::span<const std::uint8_t> file);

/// The image as it is to be seen: EXIF orientation `orientation` undone.
Image Upright(Image image, int orientation);

}  // namespace tyllm::vision
