// SPDX-License-Identifier: Apache-2.0
#include "worker/model/hub_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "tests/support/paths.h"
#include "worker/model/checkpoint.h"
#include "worker/model/families.h"
#include "worker/model/vision_shape.h"
#include "worker/model/visual_tower.h"

namespace tyllm::model {
namespace {

TEST(HubConfig, OfEveryPublishedModelGivesItsShapeAgain) {
  for (const PublishedModel& model : PublishedModels()) {
    const format::Json config = HubConfig(model, {1, 2}, PublishedVision(model.name, model.shape));
    const auto parsed = ParseShape(config, "config.json");
    ASSERT_TRUE(parsed.ok()) << model.name << ": " << parsed.status().ToString();
    const ModelShape& expected = model.shape;
    EXPECT_EQ(parsed->family, expected.family) << model.name;
    EXPECT_EQ(parsed->layers, expected.layers) << model.name;
    EXPECT_EQ(parsed->width, expected.width) << model.name;
    EXPECT_EQ(parsed->heads, expected.heads) << model.name;
    EXPECT_EQ(parsed->kv_heads, expected.kv_heads) << model.name;
    EXPECT_EQ(parsed->head_size, expected.head_size) << model.name;
    EXPECT_EQ(parsed->intermediate, expected.intermediate) << model.name;
    EXPECT_EQ(parsed->vocabulary, expected.vocabulary) << model.name;
    EXPECT_EQ(parsed->max_positions, expected.max_positions) << model.name;
    EXPECT_EQ(parsed->tied_head, expected.tied_head) << model.name;
    EXPECT_EQ(parsed->qk_norm, expected.qk_norm) << model.name;
    EXPECT_EQ(parsed->qkv_bias, expected.qkv_bias) << model.name;
    EXPECT_EQ(parsed->norm_epsilon, expected.norm_epsilon) << model.name;
    EXPECT_EQ(parsed->rope_theta, expected.rope_theta) << model.name;
    EXPECT_EQ(parsed->parameters(), expected.parameters()) << model.name;
    EXPECT_EQ(RopeFrequencies(*parsed), RopeFrequencies(expected)) << model.name;
    if (HasVision(config)) {
      const auto vision = ReadVision(config, "config.json");
      ASSERT_TRUE(vision.ok()) << model.name << ": " << vision.status().ToString();
      EXPECT_EQ(2 * std::ssize(vision->rope_axes), expected.head_size) << model.name;
      EXPECT_EQ(vision->out_width, expected.width) << model.name;
    }
  }
}

// Every name and shape of a tower that transformers wrote.
TEST(VisualTower, HasTheTensorsOfTheGoldenModels) {
  int towers = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(Path(testing::kTestData) / "goldens")) {
    const auto checkpoint = Checkpoint::Open(entry.path());
    if (!checkpoint.ok() || checkpoint->visual_tensors().empty()) {
      continue;
    }
    ++towers;
    const auto tensors = VisualTensors(checkpoint->config()["vision_config"], "vision_config");
    ASSERT_TRUE(tensors.ok()) << tensors.status().ToString();
    std::map<std::string, std::vector<std::int64_t>> expected;
    for (const std::string& name : checkpoint->visual_tensors()) {
      expected[name] = checkpoint->Find(name)->shape;
    }
    std::map<std::string, std::vector<std::int64_t>> found;
    for (const NeededTensor& tensor : *tensors) {
      found[tensor.name] = tensor.shape;
    }
    EXPECT_EQ(found, expected) << entry.path();
  }
  EXPECT_EQ(towers, 3);
}

// The published sizes, in parameters: what the makers' pages say, to their precision.
TEST(VisualTower, HasTheSizeThatWasPublished) {
  const ModelShape text{.width = 3584};
  const auto size = [](const format::Json& vision) {
    const auto tensors = VisualTensors(vision, "vision_config");
    return tensors.ok() ? static_cast<double>(Elements(*tensors)) / 1e6 : 0.0;
  };
  EXPECT_NEAR(size(PublishedVision("Qwen2-VL-7B", text)), 675.8, 1.0);
  EXPECT_NEAR(size(PublishedVision("Qwen2.5-VL-7B", text)), 676.6, 1.0);
  EXPECT_TRUE(PublishedVision("Qwen3-8B", text).is_null());
}

TEST(VisualTower, OfAnUnknownKindIsRefused) {
  const format::Json vision = {
      {"model_type", "siglip"}, {"depth", 1}, {"hidden_size", 8}, {"patch_size", 2}};
  const auto tensors = VisualTensors(vision, "vision_config");
  EXPECT_EQ(tensors.status().code(), StatusCode::kUnimplemented);
  EXPECT_NE(tensors.status().message().find("siglip"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::model
