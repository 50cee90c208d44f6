// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/image.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include "common/base/mapped_file.h"
#include "worker/vision/decoders.h"

namespace tyllm::vision {

namespace {

/// A file format: how its files begin, and its decoder.
struct ImageFormat {
  std::string_view name;
  std::string_view begin;
  std::size_t also_at = 0;  ///< where `also` stands
  std::string_view also;
  Result<Image> (*decode)(std::span<const std::uint8_t> bytes, std::string_view what) = nullptr;
};

constexpr std::array kFormats = {
    ImageFormat{"PNG", "\x89PNG\r\n\x1a\n", 0, "", DecodePng},
    ImageFormat{"JPEG", "\xff\xd8\xff", 0, "", DecodeJpeg},
    ImageFormat{"WebP", "RIFF", 8, "WEBP", DecodeWebp},
};

bool Has(std::span<const std::uint8_t> bytes, std::size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() &&
         std::equal(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char c, std::uint8_t byte) { return static_cast<std::uint8_t>(c) == byte; });
}

}  // namespace

Result<Image> DecodeImage(std::span<const std::uint8_t> bytes, std::string_view what) {
  std::string names;
  for (const ImageFormat& format : kFormats) {
    if (Has(bytes, 0, format.begin) && Has(bytes, format.also_at, format.also)) {
      return format.decode(bytes, what);
    }
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  }
  return InvalidArgument(std::string(what) + " is no image of a known format (" + names +
                         "), or is cut off");
}

Result<Image> ReadImage(const Path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return NotFound("image " + path.string() + " is not there, or is no file");
  }
  if (std::filesystem::file_size(path, error) == 0 || error) {
    return InvalidArgument("image " + path.string() + " is empty");
  }
  TYLLM_ASSIGN(const MappedFile file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file.bytes();
  return DecodeImage({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                     path.string());
}

}  // namespace tyllm::vision
