// SPDX-License-Identifier: Apache-2.0
#include "worker/model/vision_shape.h"

#include <gtest/gtest.h>

#include "tests/support/paths.h"

namespace tyllm::model {
namespace {

format::Json ConfigOf(const std::string& golden) {
  return *format::ReadJsonFile(Path(tyllm::testing::kTestData) / "goldens" / golden /
                               "config.json");
}

TEST(VisionShape, SectionsAreReadInOrderAndInterleaved) {
  const VisionShape ordered = *ReadVision(ConfigOf("tiny-qwen2-vl"), "c");
  EXPECT_EQ(ordered.rope_axes,
            (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2}));
  const VisionShape interleaved = *ReadVision(ConfigOf("tiny-qwen3-vl"), "c");
  EXPECT_EQ(interleaved.rope_axes,
            (std::vector<std::uint8_t>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0}));
}

TEST(VisionShape, HubFilesOfQwen2VlNameTheKindOnlyOutside) {
  format::Json config = ConfigOf("tiny-qwen2-vl");
  config["vision_config"].erase("model_type");
  EXPECT_TRUE(ReadVision(config, "c").ok());
}

TEST(VisionShape, BadConfigurationsNameTheKey) {
  const struct {
    const char* golden;
    const char* key;
    format::Json value;
  } cases[] = {
      {"tiny-qwen2-vl", "num_heads", 7},
      {"tiny-qwen2-vl", "depth", 0},
      {"tiny-qwen2-vl", "patch_size", -1},
      {"tiny-qwen2-vl", "spatial_merge_size", 0},
      {"tiny-qwen2-vl", "hidden_act", "relu"},
      {"tiny-qwen2.5-vl", "window_size", 10},
      {"tiny-qwen2.5-vl", "fullatt_block_indexes", {1, 9}},
      {"tiny-qwen2.5-vl", "tokens_per_second", 0},
      {"tiny-qwen2.5-vl", "hidden_act", "gelu"},
      {"tiny-qwen3-vl", "num_position_embeddings", 63},
      {"tiny-qwen3-vl", "deepstack_visual_indexes", {2, 0}},
  };

  for (const auto& test : cases) {
    format::Json config = ConfigOf(test.golden);
    config["vision_config"][test.key] = test.value;
    const auto read = ReadVision(config, "config.json");
    ASSERT_FALSE(read.ok()) << test.key;
    const std::string key = std::string(test.key) == "depth" ? "depth" : test.key;
    if (std::string(test.key) != "hidden_act" || test.value == "gelu") {
      EXPECT_NE(read.status().message().find(key), std::string::npos) << read.status().message();
    }
  }
}

TEST(VisionShape, MissingTokensAndSectionsAreErrors) {
  format::Json config = ConfigOf("tiny-qwen3-vl");
  config.erase("image_token_id");
  EXPECT_NE(ReadVision(config, "c").status().message().find("image_token_id"), std::string::npos);
  config = ConfigOf("tiny-qwen3-vl");
  config["text_config"].erase("rope_scaling");
  EXPECT_NE(ReadVision(config, "c").status().message().find("mrope_section"), std::string::npos);
  EXPECT_FALSE(ReadVision(ConfigOf("tiny-qwen3"), "c").ok());
}

}  // namespace
}  // namespace tyllm::model
