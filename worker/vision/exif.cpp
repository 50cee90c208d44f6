// SPDX-License-Identifier: Apache-2.0
// Orientation tag of EXIF (CIPA DC-008, TIFF's layout), and where PNG (third edition, eXIf) and
// WebP (RFC 9649) files keep it.
#include <algorithm>
#include <string_view>
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

bool StartsWith(std::span<const std::uint8_t> bytes, std::string_view text) {
  return bytes.size() >= text.size() &&
         std::equal(text.begin(), text.end(), bytes.begin(),
                    [](char c, std::uint8_t byte) { return static_cast<std::uint8_t>(c) == byte; });
}

/// How a file format strings its chunks together: a name of four characters and a length, in one of
/// two orders, before the content.
struct ChunkForm {
  std::size_t begin = 0;  ///< of the first chunk
  bool length_first = false;
  bool little_endian = false;
  std::size_t behind = 0;    ///< bytes between the content and the next chunk
  std::size_t multiple = 1;  ///< of which the content's room is
};

constexpr ChunkForm kPngChunks{.begin = 8, .length_first = true, .behind = 4};
constexpr ChunkForm kWebpChunks{.begin = 12, .little_endian = true, .multiple = 2};

/// The content of the first chunk of this name; empty without one.
std::span<const std::uint8_t> FindChunk(std::span<const std::uint8_t> file, const ChunkForm& form,
                                        std::string_view name) {
  constexpr std::size_t kHeader = 8;
  std::size_t at = form.begin;
  while (at + kHeader <= file.size()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t digit = form.little_endian ? 3 - i : i;
      length = length << 8U | file[at + (form.length_first ? 0 : 4) + digit];
    }
    const std::span<const std::uint8_t> content = file.subspan(at + kHeader);
    if (length > content.size()) {
      return {};
    }
    if (StartsWith(file.subspan(at + (form.length_first ? 4 : 0)), name)) {
      return content.first(length);
    }
    at += kHeader + (length + form.multiple - 1) / form.multiple * form.multiple + form.behind;
  }
  return {};
}

/// Some writers keep what JPEG has before it.
int OrientationOfChunk(std::span<const std::uint8_t> chunk) {
  constexpr std::string_view kJpegs("Exif\0\0", 6);
  return ExifOrientation(StartsWith(chunk, kJpegs) ? chunk.subspan(kJpegs.size()) : chunk);
}

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

int PngOrientation(std::span<const std::uint8_t> file) {
  return OrientationOfChunk(FindChunk(file, kPngChunks, "eXIf"));
}

int WebpOrientation(std::span<const std::uint8_t> file) {
  return OrientationOfChunk(FindChunk(file, kWebpChunks, "EXIF"));
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
