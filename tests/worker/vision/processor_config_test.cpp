// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/processor_config.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm::vision {
namespace {

using format::Json;

model::VisionShape Qwen2() {
  model::VisionShape shape;
  shape.patch = 14;
  return shape;
}

model::VisionShape Qwen3() {
  model::VisionShape shape;
  shape.patch = 16;
  shape.video_time = model::VideoTime::kApart;
  return shape;
}

TEST(ImageProcessor, OldAndNewFormsSayTheSame) {
  const Json old{{"min_pixels", 3136}, {"max_pixels", 1003520}, {"patch_size", 14}};
  const Json newer{{"size", {{"shortest_edge", 3136}, {"longest_edge", 1003520}}}};
  const Json between{{"size", {{"min_pixels", 3136}, {"max_pixels", 1003520}}}};
  for (const Json& json : {old, newer, between}) {
    const auto read = ReadImageProcessor(json, Qwen2(), "p");
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->fewest_pixels, 3136);
    EXPECT_EQ(read->most_pixels, 1003520);
    EXPECT_EQ(read->factor(), 28);
  }
}

TEST(ImageProcessor, PixelsAtTheTopOverrideTheSizeAsInTransformers) {
  const Json both{{"size", {{"shortest_edge", 3136}, {"longest_edge", 12845056}}},
                  {"min_pixels", 6272},
                  {"max_pixels", 1003520}};
  for (const Processor& read :
       {*ReadImageProcessor(both, Qwen2(), "p"), *ReadVideoProcessor(both, Qwen2(), "p"),
        *ReadImageProcessor(both, Qwen3(), "p")}) {
    EXPECT_EQ(read.fewest_pixels, 6272);
    EXPECT_EQ(read.most_pixels, 1003520);
  }
  const Processor video = *ReadVideoProcessor(both, Qwen3(), "p");
  EXPECT_EQ(video.fewest_pixels, 3136);
  EXPECT_EQ(video.most_pixels, 12845056);
}

TEST(ImageProcessor, WhatAFileLeavesOutIsThePublishedModels) {
  const Processor qwen2 = *ReadImageProcessor(Json::object(), Qwen2(), "p");
  EXPECT_EQ(qwen2.most_pixels, 1280 * 28 * 28);
  EXPECT_NEAR(qwen2.shift[0], -0.48145466 / 0.26862954, 1e-12);
  const Processor qwen3 = *ReadVideoProcessor(Json::object(), Qwen3(), "p");
  EXPECT_EQ(qwen3.fewest_pixels, 128 * 32 * 32);
  EXPECT_NEAR(qwen3.scale[1], 2.0 / 255, 1e-12);
  EXPECT_TRUE(qwen3.limits_all_frames);
}

TEST(ImageProcessor, BadFilesAreErrorsThatNameTheKey) {
  const struct {
    Json json;
    const char* key;
  } cases[] = {
      {{{"patch_size", 15}}, "patch_size"},
      {{{"patch_size", "14"}}, "patch_size"},
      {{{"merge_size", 0}}, "merge_size"},
      {{{"image_mean", {0.5, 0.5}}}, "image_mean"},
      {{{"image_std", {0, 0.5, 0.5}}}, "image_std"},
      {{{"min_pixels", 100}, {"max_pixels", 50}}, "max_pixels"},
      {{{"size", {{"longest_edge", 10}}}}, "pixels"},
      {{{"size", {{"height", 224}, {"width", 224}}}}, "'height'"},
      {{{"resample", 2}}, "resample"},
      {{{"fps", 0}}, "fps"},
      {{{"min_frames", 9}, {"max_frames", 3}}, "max_frames"},
      {Json::array(), "p"},
  };

  for (const auto& test : cases) {
    const auto read = ReadVideoProcessor(test.json, Qwen2(), "p");
    ASSERT_FALSE(read.ok()) << test.json;
    EXPECT_NE(read.status().message().find(test.key), std::string::npos) << read.status().message();
  }
}

TEST(ImageProcessor, AMissingFileSaysWhatToDo) {
  const tyllm::testing::TemporaryDirectory folder;
  const auto read = ImageProcessorOf(folder.path(), Qwen2());
  EXPECT_EQ(read.status().code(), StatusCode::kNotFound);
  EXPECT_NE(read.status().message().find("preprocessor_config.json"), std::string::npos);
  EXPECT_NE(read.status().message().find("copy it"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::vision
