// SPDX-License-Identifier: Apache-2.0
#include "worker/model/vision_shape.h"

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "worker/model/visual_tower.h"

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
      {"tiny-qwen3-vl", "rope_theta", 1e6},
      {"tiny-qwen3-vl", "rope_parameters", {{"rope_theta", 1e6}}},
      {"tiny-qwen3-vl", "rope_scaling", {{"rope_type", "yarn"}}},
  };

  for (const auto& test : cases) {
    format::Json config = ConfigOf(test.golden);
    config["vision_config"][test.key] = test.value;
    const auto read = ReadVision(config, "config.json");
    ASSERT_FALSE(read.ok()) << test.key;
    const std::string& message = read.status().message();
    EXPECT_NE(message.find("config.json.vision_config."), std::string::npos) << message;
    EXPECT_NE(message.find(test.key), std::string::npos) << message;
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

TEST(VisionShape, SectionsAreInterleavedAsTheKindHasIt) {
  format::Json config = ConfigOf("tiny-qwen3-vl");
  const auto expected = ReadVision(config, "c")->rope_axes;
  config["text_config"]["rope_scaling"].erase("mrope_interleaved");
  EXPECT_EQ(ReadVision(config, "c")->rope_axes, expected);
  config["text_config"]["rope_scaling"]["mrope_interleaved"] = false;
  EXPECT_NE(ReadVision(config, "c").status().message().find("mrope_interleaved is false"),
            std::string::npos);
  config = ConfigOf("tiny-qwen2-vl");
  format::Json& text = config.contains("text_config") ? config["text_config"] : config;
  text["rope_scaling"]["mrope_interleaved"] = true;
  EXPECT_NE(ReadVision(config, "c").status().message().find("mrope_interleaved is true"),
            std::string::npos);
}

TEST(VisionShape, WhatAFileLeavesOutIsAsInTransformers) {
  format::Json config = ConfigOf("tiny-qwen3-vl");
  config["vision_config"]["depth"] = 27;
  config["vision_config"].erase("deepstack_visual_indexes");
  config["vision_config"].erase("num_position_embeddings");
  const auto qwen3 = ReadVision(config, "c");
  ASSERT_TRUE(qwen3.ok()) << qwen3.status().ToString();
  EXPECT_EQ(qwen3->deepstack, (std::vector<std::int64_t>{8, 16, 24}));
  EXPECT_EQ(qwen3->grid_side, 48);
  config = ConfigOf("tiny-qwen2.5-vl");
  config["vision_config"]["depth"] = 32;
  config["vision_config"].erase("fullatt_block_indexes");
  config["vision_config"].erase("tokens_per_second");
  const auto qwen25 = ReadVision(config, "c");
  ASSERT_TRUE(qwen25.ok()) << qwen25.status().ToString();
  EXPECT_EQ(qwen25->full_blocks, (std::vector<std::int64_t>{7, 15, 23, 31}));
  EXPECT_EQ(qwen25->tokens_per_second, 4);
  config["vision_config"]["depth"] = 4;
  EXPECT_NE(ReadVision(config, "c").status().message().find("fullatt_block_indexes"),
            std::string::npos);
}

TEST(VisualTensors, ThoseThatTheTowerDoesNotHaveAreTold) {
  const format::Json config = ConfigOf("tiny-qwen3-vl");
  const std::vector<std::string> names = {
      "model.visual.pos_embed.weight", "model.visual.deepstack_merger_list.0.norm.weight",
      "model.visual.deepstack_merger_list.7.norm.weight", "model.visual.blocks.0.attn.qkv.bias"};
  EXPECT_EQ(UnusedVisualTensors(config, names), std::vector<std::string>{names[2]});
  EXPECT_TRUE(UnusedVisualTensors(ConfigOf("tiny-qwen3"), names).empty());
}

}  // namespace
}  // namespace tyllm::model
