// SPDX-License-Identifier: Apache-2.0
// What the tensors of real and made checkpoints turn out to be: types, names, and what is left
// over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "common/format/float16.h"
#include "tests/support/model_directory.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "worker/model/checkpoint.h"

namespace tyllm::model {
namespace {

using ::testing::ElementsAre;
using testing::MadeTensor;
using testing::ModelDirectory;

const Path kGoldens = Path(testing::kTestData) / "goldens";
constexpr const char* kQProj = "model.layers.1.self_attn.q_proj";

TEST(GoldenCheckpoint, OfTheHubsFormIsRead) {
  const auto checkpoint = Checkpoint::Open(kGoldens / "tiny-qwen3");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_EQ(checkpoint->format(), CheckpointFormat::kFloat);
  EXPECT_EQ(checkpoint->group_size(), 0);
  EXPECT_EQ(checkpoint->shape().head_size, 32);
  EXPECT_EQ(checkpoint->shape().rope_theta, 1e6);
  EXPECT_TRUE(checkpoint->unused_tensors().empty());
  EXPECT_EQ(checkpoint->ReadLinear("model.layers.1.mlp.down_proj")->size(), 128U * 384U);
  EXPECT_FALSE(checkpoint->IsQuantized("model.layers.1.mlp.down_proj"));
}

TEST(GoldenCheckpoint, WithAConfigOfTransformers5IsRead) {
  const auto checkpoint = Checkpoint::Open(kGoldens / "tiny-qwen3-newstyle-config");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_EQ(checkpoint->shape().rope_theta, 1e6);
  EXPECT_EQ(checkpoint->shape().kv_heads, 1);
  EXPECT_FALSE(checkpoint->shape().tied_head);
}

TEST(GoldenCheckpoint, HoldsTheEmbeddingsThatTheGoldenStatesBeginWith) {
  const auto checkpoint = Checkpoint::Open(kGoldens / "tiny-qwen3");
  const auto golden = format::SafetensorsFile::Open(kGoldens / "tiny-qwen3" / "golden.safetensors");
  ASSERT_TRUE(checkpoint.ok() && golden.ok());
  const std::vector<float> table = *checkpoint->ReadFloats("model.embed_tokens.weight");
  const std::vector<float> states = *format::ToFloats("h", golden->tensors().at("hidden.0"));
  const format::TensorView& ids = golden->tensors().at("input_ids");
  for (std::size_t t = 0; t < 40; ++t) {
    std::int32_t id = 0;
    std::memcpy(&id, ids.bytes.data() + 4 * t, 4);
    for (std::size_t c = 0; c < 128; ++c) {
      ASSERT_EQ(states[t * 128 + c], table[static_cast<std::size_t>(id) * 128 + c]);
    }
  }
}

TEST(GoldenCheckpoint, ThereIsOneOfEveryFamilyAndAllOpen) {
  std::set<std::string> families;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    if (!entry.is_directory()) {
      continue;
    }
    const auto checkpoint = Checkpoint::Open(entry.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
    EXPECT_TRUE(checkpoint->unused_tensors().empty()) << entry.path();
    const bool has_tower = checkpoint->config().contains("vision_config");
    EXPECT_EQ(checkpoint->visual_tensors().empty(), !has_tower) << entry.path();
    families.insert(checkpoint->shape().family);
  }
  for (const Family* const family : kFamilies) {
    EXPECT_TRUE(families.contains(std::string(family->name))) << family->name;
  }
}

/// The numbers of a float16 tensor that all three types can hold, as `type`.
MadeTensor InType(const MadeTensor& halves, format::DType type) {
  const auto* const source = reinterpret_cast<const std::uint16_t*>(halves.bytes.data());
  MadeTensor out{type, halves.shape, {}};
  for (std::size_t i = 0; i < halves.bytes.size() / 2; ++i) {
    const std::uint16_t brain = format::FloatToBFloat16(format::HalfToFloat(source[i]));
    const float number = format::BFloat16ToFloat(brain);
    const auto append = [&](const auto& value) {
      const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
      out.bytes.insert(out.bytes.end(), bytes, bytes + sizeof(value));
    };
    if (type == format::DType::kF32) {
      append(number);
    } else {
      append(type == format::DType::kBF16 ? brain : format::FloatToHalf(number));
    }
  }
  return out;
}

TEST(CheckpointTensors, ReadsTheSameNumbersFromEveryTypeInOneFileOrInShards) {
  const testing::TemporaryDirectory folder;
  const ModelDirectory made = ModelDirectory::Float(ModelDirectory::SmallQwen3Config());
  std::vector<std::vector<float>> all;
  for (const format::DType type :
       {format::DType::kF16, format::DType::kBF16, format::DType::kF32}) {
    ModelDirectory model = made;
    for (auto& [name, tensor] : model.tensors) {
      tensor = InType(tensor, type);
    }
    for (const int shards : {1, 3}) {
      const Path directory =
          folder / (std::to_string(static_cast<int>(type)) + "_" + std::to_string(shards));
      shards == 1 ? model.Write(directory) : model.WriteSharded(directory, shards);
      const auto checkpoint = Checkpoint::Open(directory);
      ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
      all.push_back(*checkpoint->ReadLinear(kQProj));
    }
  }
  for (const std::vector<float>& numbers : all) {
    EXPECT_EQ(numbers, all.front());
  }
}

TEST(CheckpointTensors, EveryTensorIsUsedOrVisualOrNamed) {
  format::Json config = ModelDirectory::SmallQwen3Config();
  config["architectures"] = {"Qwen2_5_VLForConditionalGeneration"};
  config["tie_word_embeddings"] = true;
  const testing::TemporaryDirectory folder;
  ModelDirectory model = ModelDirectory::Float(config);
  const std::size_t used = model.tensors.size();
  for (const char* const name :
       {"visual.merger.mlp.0.weight", "visual.patch_embed.proj.weight", "visually.weight",
        "model.layers.2.self_attn.q_proj.weight", "lm_head.weight"}) {
    model.tensors[name] = testing::MadeHalves(name, {40, 64});
  }
  model.Write(folder.path());
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_THAT(checkpoint->visual_tensors(),
              ElementsAre("visual.merger.mlp.0.weight", "visual.patch_embed.proj.weight"));
  EXPECT_THAT(checkpoint->unused_tensors(),
              ElementsAre("model.layers.2.self_attn.q_proj.weight", "visually.weight"));
  EXPECT_EQ(checkpoint->TensorNames().size(), used + 2 + 2 + 1);  // and the tied head
}

}  // namespace
}  // namespace tyllm::model
