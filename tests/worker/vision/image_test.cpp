// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/image.h"

#include <gtest/gtest.h>
#include <jpeglib.h>
#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "worker/vision/decoders.h"

namespace tyllm::vision {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// A picture without edges, which JPEG keeps well.
Image Gradient(std::int64_t width, std::int64_t height) {
  Image image{width, height, {}};
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      image.rgb.push_back(static_cast<std::uint8_t>(200 * x / width));
      image.rgb.push_back(static_cast<std::uint8_t>(200 * y / height));
      image.rgb.push_back(90);
    }
  }
  return image;
}

Bytes Png(std::uint32_t format, std::uint32_t width, std::uint32_t height, const Bytes& pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, nullptr);
  Bytes bytes(size);
  EXPECT_NE(png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr),
            0);
  bytes.resize(size);
  return bytes;
}

Bytes Png(const Image& image) {
  return Png(PNG_FORMAT_RGB, static_cast<std::uint32_t>(image.width),
             static_cast<std::uint32_t>(image.height), image.rgb);
}

/// With an EXIF marker of this orientation, unless it is 0.
Bytes Jpeg(const Image& image, std::uint8_t orientation) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 98, TRUE);
  jpeg_start_compress(&info, TRUE);
  if (orientation != 0) {
    const Bytes exif = {'E',  'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42,          0, 0, 0, 8, 0, 1,
                        0x01, 0x12, 0,   3,   0, 0, 0,   1,   0, orientation, 0, 0, 0, 0, 0, 0};
    jpeg_write_marker(&info, JPEG_APP0 + 1, exif.data(), static_cast<unsigned>(exif.size()));
  }
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(image.rgb.data() + info.next_scanline * image.width * 3);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes(buffer, buffer + size);
  std::free(buffer);
  return bytes;
}

int LargestDifference(const Image& a, const Image& b) {
  int largest = a.width == b.width && a.height == b.height ? 0 : 999;
  for (std::size_t i = 0; i < a.rgb.size() && largest < 999; ++i) {
    largest = std::max(largest, std::abs(int{a.rgb[i]} - int{b.rgb[i]}));
  }
  return largest;
}

TEST(DecodeImage, PngIsReadExactly) {
  const Image image = Gradient(37, 19);
  const auto decoded = DecodeImage(Png(image), "a.png");
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(LargestDifference(*decoded, image), 0);
}

TEST(DecodeImage, PngLosesTransparencyAndGrayBecomesColours) {
  const auto clear = DecodeImage(Png(PNG_FORMAT_RGBA, 2, 1, {10, 20, 30, 0, 40, 50, 60, 128}), "a");
  ASSERT_TRUE(clear.ok()) << clear.status().ToString();
  EXPECT_EQ(clear->rgb, (Bytes{10, 20, 30, 40, 50, 60}));
  const auto gray = DecodeImage(Png(PNG_FORMAT_GRAY, 2, 1, {7, 250}), "a");
  ASSERT_TRUE(gray.ok()) << gray.status().ToString();
  EXPECT_EQ(gray->rgb, (Bytes{7, 7, 7, 250, 250, 250}));
}

TEST(DecodeImage, JpegIsReadNearly) {
  const Image image = Gradient(64, 48);
  const auto decoded = DecodeImage(Jpeg(image, 0), "a.jpg");
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_LE(LargestDifference(*decoded, image), 12);
}

TEST(DecodeImage, JpegIsTurnedAsItsOrientationSays) {
  const Image image = Gradient(64, 48);
  const auto turned = DecodeImage(Jpeg(image, 6), "a.jpg");  // to be turned clockwise
  ASSERT_TRUE(turned.ok()) << turned.status().ToString();
  ASSERT_EQ(turned->width, 48);
  ASSERT_EQ(turned->height, 64);
  // The stored lower left corner (little red, much green) is seen at the upper left.
  EXPECT_LT(turned->rgb[0], 20);
  EXPECT_GT(turned->rgb[1], 170);
  const auto half = DecodeImage(Jpeg(image, 3), "a.jpg");
  ASSERT_TRUE(half.ok());
  EXPECT_GT(half->rgb[0], 170);
  EXPECT_GT(half->rgb[1], 170);
}

/// TIFF with one entry: the orientation.
Bytes Tiff(std::uint8_t orientation) {
  return {'I', 'I', 42, 0, 8, 0,           0, 0, 1, 0, 0x12, 0x01, 3,
          0,   1,   0,  0, 0, orientation, 0, 0, 0, 0, 0,    0,    0};
}

/// The PNG with an eXIf chunk behind IHDR.
Bytes WithExif(Bytes png, const Bytes& exif) {
  Bytes chunk = {0, 0, 0, static_cast<std::uint8_t>(exif.size()), 'e', 'X', 'I', 'f'};
  chunk.insert(chunk.end(), exif.begin(), exif.end());
  std::uint32_t sum = 0xFFFFFFFFU;
  for (std::size_t i = 4; i < chunk.size(); ++i) {
    sum ^= chunk[i];
    for (int bit = 0; bit < 8; ++bit) {
      sum = sum >> 1U ^ ((sum & 1U) != 0 ? 0xEDB88320U : 0U);
    }
  }
  for (unsigned shift = 32; shift > 0; shift -= 8) {
    chunk.push_back(static_cast<std::uint8_t>(~sum >> (shift - 8)));
  }
  png.insert(png.begin() + 33, chunk.begin(), chunk.end());
  return png;
}

TEST(DecodeImage, PngIsTurnedAsItsOrientationSays) {
  const Image image = Gradient(30, 20);
  Bytes prefixed = {'E', 'x', 'i', 'f', 0, 0};
  const Bytes tiff = Tiff(6);
  prefixed.insert(prefixed.end(), tiff.begin(), tiff.end());
  for (const Bytes& exif : {tiff, prefixed}) {
    const auto turned = DecodeImage(WithExif(Png(image), exif), "a.png");
    ASSERT_TRUE(turned.ok()) << turned.status().ToString();
    EXPECT_EQ(LargestDifference(*turned, Upright(image, 6)), 0);
  }
  for (const Bytes& exif : {Tiff(1), Bytes{'I', 'I'}, Bytes{}}) {
    const auto same = DecodeImage(WithExif(Png(image), exif), "a.png");
    ASSERT_TRUE(same.ok()) << same.status().ToString();
    EXPECT_EQ(LargestDifference(*same, image), 0);
  }
}

TEST(WebpOrientation, IsThatOfItsExifChunk) {
  const auto webp = [](const Bytes& exif) {
    // An odd chunk before it, filled up.
    const std::string head("RIFF\0\0\0\0WEBPVP8 \3\0\0\0\1\2\3\0EXIF", 28);
    Bytes file(head.begin(), head.end());
    file.push_back(static_cast<std::uint8_t>(exif.size()));
    file.resize(head.size() + 4);
    file.insert(file.end(), exif.begin(), exif.end());
    return file;
  };
  EXPECT_EQ(WebpOrientation(webp(Tiff(8))), 8);
  EXPECT_EQ(WebpOrientation(webp({})), 1);
  Bytes cut = webp(Tiff(8));
  cut.resize(cut.size() - 3);
  EXPECT_EQ(WebpOrientation(cut), 1);
  EXPECT_EQ(WebpOrientation({}), 1);
}

TEST(DecodeImage, AJpegThatIsCutOffIsRefusedByName) {
  const Bytes whole = Jpeg(Gradient(64, 48), 0);
  for (const std::size_t left : {whole.size() / 2, whole.size() * 9 / 10, whole.size() - 3}) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(left));
    const auto decoded = DecodeImage(part, "photo.jpg");
    ASSERT_FALSE(decoded.ok()) << left << " of " << whole.size();
    EXPECT_EQ(decoded.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(decoded.status().message().find("photo.jpg"), std::string::npos);
  }
  Bytes followed = whole;
  followed.insert(followed.end(), 100, 0);  // as some cameras write
  EXPECT_TRUE(DecodeImage(followed, "photo.jpg").ok());
}

TEST(Upright, EveryOrientationMovesTheCornersWhereTheyBelong) {
  // Stored: 1 2 / 3 4. Expected rows by EXIF's table.
  const Image stored{2, 2, {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}};
  const char* const expected[] = {"1234", "2143", "4321", "3412", "1324", "3142", "4231", "2413"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image upright = Upright(stored, orientation);
    std::string seen;
    for (std::size_t i = 0; i < 12; i += 3) {
      seen += static_cast<char>('0' + upright.rgb[i]);
    }
    EXPECT_EQ(seen, expected[orientation - 1]) << orientation;
  }
}

TEST(DecodeImage, CutOffFilesAreErrorsThatNameTheFile) {
  for (const Bytes& whole : {Png(Gradient(40, 40)), Jpeg(Gradient(40, 40), 1)}) {
    for (std::size_t size : {std::size_t{0}, std::size_t{4}, std::size_t{20}}) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto decoded = DecodeImage(part, "photo.bin");
      ASSERT_FALSE(decoded.ok()) << size;
      EXPECT_EQ(decoded.status().code(), StatusCode::kInvalidArgument);
      EXPECT_NE(decoded.status().message().find("photo.bin"), std::string::npos);
    }
  }
}

TEST(DecodeImage, ABombIsRefusedBeforeItIsUnpacked) {
  Bytes bomb = Png(Gradient(4, 4));
  for (const std::size_t at : {16U, 20U}) {  // width and height of IHDR
    bomb[at] = 0;
    bomb[at + 1] = 0;
    bomb[at + 2] = 0xF0;
    bomb[at + 3] = 0;
  }
  EXPECT_FALSE(DecodeImage(bomb, "bomb.png").ok());  // its checksum is wrong, too
  EXPECT_EQ(CheckSize(60000, 60000, "bomb").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckSize(0, 10, "nothing").code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckSize(8000, 8000, "large").ok());
}

TEST(DecodeImage, OtherFilesAreRefusedWithTheKnownFormats) {
  const Bytes text = {'h', 'e', 'l', 'l', 'o'};
  const auto decoded = DecodeImage(text, "notes.txt");
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.status().message().find("PNG, JPEG, WebP"), std::string::npos);
}

TEST(ReadImage, MissingAndEmptyFilesSaySo) {
  const tyllm::testing::TemporaryDirectory folder;
  EXPECT_EQ(ReadImage(folder / "no.png").status().code(), StatusCode::kNotFound);
  std::ofstream(folder / "empty.png").flush();
  EXPECT_EQ(ReadImage(folder / "empty.png").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::vision
