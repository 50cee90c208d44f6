// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/video.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::vision {
namespace {

class VideoFolder : public ::testing::Test {
 protected:
  void AddFrames(int count) {
    const Path image = Path(tyllm::testing::kTestData) / "goldens/tiny-qwen2-vl/image.png";
    for (int i = 1; i <= count; ++i) {
      std::filesystem::copy_file(image, folder_ / ("frame" + std::to_string(i) + ".png"));
    }
  }

  tyllm::testing::TemporaryDirectory folder_;
  Processor processor_{.frames_per_second = 2, .fewest_frames = 4, .most_frames = 12};
};

TEST_F(VideoFolder, AllFramesAreUsedAtTheProcessorsRate) {
  AddFrames(11);
  const auto video = ReadVideo(folder_.path(), processor_, std::nullopt);
  ASSERT_TRUE(video.ok()) << video.status().ToString();
  ASSERT_EQ(video->frames.size(), 11U);
  EXPECT_EQ(video->frames[0].width, 140);
  EXPECT_DOUBLE_EQ(video->seconds[10], 5.0);
  const std::vector<double> grids = GridSeconds(*video, 2);
  ASSERT_EQ(grids.size(), 6U);
  EXPECT_DOUBLE_EQ(grids[0], 0.25);
  EXPECT_DOUBLE_EQ(grids[5], 5.0);
}

TEST_F(VideoFolder, FasterVideosAreSampled) {
  AddFrames(20);
  const auto video = ReadVideo(folder_.path(), processor_, 5.0);
  ASSERT_TRUE(video.ok()) << video.status().ToString();
  ASSERT_EQ(video->frames.size(), 8U);
  EXPECT_DOUBLE_EQ(video->seconds[1], 0.4);  // frame 2 of 5 a second
}

TEST_F(VideoFolder, EmptyLongAndMissingFoldersAreErrors) {
  EXPECT_EQ(ReadVideo(folder_.path(), processor_, std::nullopt).status().code(),
            StatusCode::kInvalidArgument);
  AddFrames(13);
  const auto longer = ReadVideo(folder_.path(), processor_, std::nullopt);
  EXPECT_NE(longer.status().message().find("at most 12"), std::string::npos);
  EXPECT_EQ(ReadVideo(folder_ / "no", processor_, std::nullopt).status().code(),
            StatusCode::kNotFound);
}

TEST(SampleFrames, StaysWithinTheLimits) {
  Processor processor{.frames_per_second = 2, .fewest_frames = 4, .most_frames = 8};
  EXPECT_EQ(SampleFrames(processor, 40, 10).size(), 8U);
  EXPECT_EQ(SampleFrames(processor, 5, 30).size(), 4U);
  EXPECT_EQ(SampleFrames(processor, 1, 30), (std::vector<std::int64_t>{0}));
  processor.limits_all_frames = true;
  EXPECT_EQ(SampleFrames(processor, 10, 4), (std::vector<std::int64_t>{0, 2, 4, 7, 9}));
}

}  // namespace
}  // namespace tyllm::vision
