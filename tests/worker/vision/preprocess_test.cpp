// SPDX-License-Identifier: Apache-2.0
// Pixels against those of transformers' image and video processors (tests/data/goldens).
#include "worker/vision/preprocess.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <cstring>

#include "common/format/safetensors.h"
#include "tests/support/paths.h"

namespace tyllm::vision {
namespace {

struct Difference {
  double mean = 0;
  double largest = 0;
};

class Goldens : public ::testing::TestWithParam<const char*> {
 protected:
  Goldens() { TYLLM_CHECK(file_.ok() && shape_.ok()); }

  Difference Compare(const Patches& made, const std::string& name) const {
    const format::TensorView& view = file_->tensors().at(name);
    const std::vector<float> expected = *format::ToFloats(name, view);
    EXPECT_EQ(made.values.rows() * made.values.columns(), view.elements());
    Difference found;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double off = std::abs(static_cast<double>(made.values.data()[i]) - expected[i]);
      found.mean += off / static_cast<double>(expected.size());
      found.largest = std::max(found.largest, off);
    }
    return found;
  }

  model::VisualGrid Grid(const std::string& name) const {
    std::vector<std::int32_t> numbers(3);
    std::memcpy(numbers.data(), file_->tensors().at(name).bytes.data(), 12);
    return {numbers[0], numbers[1], numbers[2]};
  }

  std::vector<Image> Frames() const {
    const format::TensorView& view = file_->tensors().at("video.frames");
    const std::size_t bytes = static_cast<std::size_t>(view.shape[1] * view.shape[2] * 3);
    std::vector<Image> frames;
    for (std::int64_t i = 0; i < view.shape[0]; ++i) {
      const auto* from = reinterpret_cast<const std::uint8_t*>(view.bytes.data()) +
                         static_cast<std::size_t>(i) * bytes;
      frames.push_back({view.shape[2], view.shape[1], {from, from + bytes}});
    }
    return frames;
  }

  Path folder_ = Path(tyllm::testing::kTestData) / "goldens" / GetParam();
  Result<format::SafetensorsFile> file_ =
      format::SafetensorsFile::Open(folder_ / "visual.safetensors");
  Result<model::VisionShape> shape_ =
      model::ReadVision(*format::ReadJsonFile(folder_ / "config.json"), "config.json");
};

INSTANTIATE_TEST_SUITE_P(All, Goldens, ::testing::Values("tiny-qwen2-vl", "tiny-qwen3-vl"),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST_P(Goldens, AnImageThatFitsBecomesTheSamePixels) {
  const Processor processor = *ImageProcessorOf(folder_, *shape_);
  const Image image = *ReadImage(folder_ / "image.png");
  const auto made = ProcessImage(processor, image);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made->grid, Grid("image_grid_thw"));
  const Difference found = Compare(*made, "pixel_values");
  EXPECT_LT(found.mean, 1e-6);
  EXPECT_LT(found.largest, 1e-5);
}

/// Qwen3-VL's video processor brings these frames from 160 x 96 to 256 x 160.
TEST_P(Goldens, AVideoBecomesTheSamePixels) {
  const bool qwen3 = std::string(GetParam()) == "tiny-qwen3-vl";
  const Processor processor =
      qwen3 ? *ReadVideoProcessor(format::Json::object(), *shape_, "video_preprocessor_config.json")
            : *VideoProcessorOf(folder_, *shape_);
  const auto made = ProcessVideo(processor, Frames());
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made->grid, Grid("video_grid_thw"));
  const Difference found = Compare(*made, "pixel_values_videos");
  // 0.5 of a pixel's number is 1 / 255 where it is scaled to -1 .. 1.
  EXPECT_LT(found.mean, qwen3 ? 2.0 / 255 : 1e-6);
  EXPECT_LT(found.largest, qwen3 ? 8.0 / 255 : 1e-5);
}

TEST_P(Goldens, WithoutResizingOtherSizesAreRefused) {
  Processor processor = *ImageProcessorOf(folder_, *shape_);
  processor.resize = false;
  const Image odd{30, 20, std::vector<std::uint8_t>(1800)};
  EXPECT_EQ(ProcessImage(processor, odd).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(ProcessImage(processor, *ReadImage(folder_ / "image.png")).ok());
}

TEST(SmartSize, KeepsProportionsWithinTheLimits) {
  const PixelLimits qwen2{28, 56 * 56, 1280 * 28 * 28};
  EXPECT_EQ(*SmartSize({960, 540}, qwen2), (Size{952, 532}));
  EXPECT_EQ(*SmartSize({1920, 1080}, qwen2), (Size{1316, 728}));
  EXPECT_EQ(*SmartSize({20, 10}, qwen2), (Size{84, 56}));
  EXPECT_EQ(*SmartSize({42, 70}, {28, 1, 1 << 20}), (Size{56, 56}));  // halves go to even
  EXPECT_EQ(SmartSize({2010, 10}, qwen2).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(SmartSize({0, 10}, qwen2).status().code(), StatusCode::kInvalidArgument);
}

TEST(SmartSize, ASideThatRoundsToNothingHasNoPixels) {
  // Numbers of transformers' smart_resize.
  const PixelLimits qwen2{28, 56 * 56, 1280 * 28 * 28};
  EXPECT_EQ(*SmartSize({400, 14}, qwen2), (Size{308, 28}));
  EXPECT_EQ(*SmartSize({600, 12}, qwen2), (Size{420, 28}));
  const PixelLimits qwen3{32, 4 * 32 * 32, 16384 * 32 * 32};
  EXPECT_EQ(*SmartSize({1000, 16}, qwen3), (Size{512, 32}));
  EXPECT_EQ(*SmartSize({1000, 17}, qwen3), (Size{992, 32}));
}

TEST(SmartSize, AVideoIsAtLeastATokenWide) {
  const PixelLimits qwen3{32, 128 * 32 * 32, 768 * 32 * 32};
  EXPECT_EQ(*SmartVideoSize({1000, 16}, 4, 2, qwen3), (Size{1984, 32}));
  EXPECT_EQ(*SmartVideoSize({200, 16}, 4, 2, qwen3), (Size{640, 64}));
}

TEST(SmartSize, LimitsOfAVideoHoldForAllItsFrames) {
  const PixelLimits qwen3{32, 128 * 32 * 32, 768 * 32 * 32};
  EXPECT_EQ(*SmartVideoSize({160, 96}, 4, 2, qwen3), (Size{256, 160}));
  const Size large = *SmartVideoSize({1920, 1080}, 10, 2, qwen3);
  EXPECT_LE(large.width * large.height * 10, qwen3.most);
}

TEST(Resize, AFlatImageStaysFlatAndARampStaysARamp) {
  Image flat{50, 30, std::vector<std::uint8_t>(50 * 30 * 3, 77)};
  for (const Size size : {Size{20, 15}, Size{100, 64}, Size{50, 15}, Size{20, 30}}) {
    const Image made = Resize(flat, size.width, size.height);
    EXPECT_EQ(made.rgb, std::vector<std::uint8_t>(
                            static_cast<std::size_t>(size.width * size.height * 3), 77));
  }
  for (std::size_t i = 0; i < flat.rgb.size(); ++i) {
    flat.rgb[i] = static_cast<std::uint8_t>(i / 3 % 50 * 5);
  }
  const Image half = Resize(flat, 25, 30);
  for (std::size_t x = 2; x < 23; ++x) {
    EXPECT_NEAR(half.rgb[x * 3], 10.0 * static_cast<double>(x) + 2.5, 1.0) << x;
  }
}

TEST(ProcessVideo, AnOddLastFrameIsRepeated) {
  const Processor processor{
      .patch = 2, .temporal_patch = 2, .merge = 1, .resize = false, .scale = {1, 1, 1}};
  std::vector<Image> frames(3, {2, 2, std::vector<std::uint8_t>(12, 0)});
  frames[2].rgb.assign(12, 9);
  const auto made = ProcessVideo(processor, frames);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made->grid, (model::VisualGrid{2, 1, 1}));
  for (const float value : made->values.row(1)) {
    EXPECT_EQ(value, 9.0F);
  }
}

TEST(ProcessVideo, NoFramesAndFramesOfSeveralSizesAreErrors) {
  const Processor processor{.patch = 2, .merge = 1, .fewest_pixels = 1, .most_pixels = 100};
  EXPECT_FALSE(ProcessVideo(processor, {}).ok());
  const std::vector<Image> frames{{2, 2, std::vector<std::uint8_t>(12)},
                                  {4, 2, std::vector<std::uint8_t>(24)}};
  EXPECT_FALSE(ProcessVideo(processor, frames).ok());
  const std::vector<Image> empty(2);
  EXPECT_FALSE(ProcessVideo(processor, empty).ok());
}

}  // namespace
}  // namespace tyllm::vision
