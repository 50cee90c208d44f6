// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/synthesize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "common/format/float16.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"
#include "worker/forward/generator.h"
#include "worker/model/checkpoint.h"
#include "worker/model/tokenizer.h"
#include "worker/model/visual_tower.h"
#include "worker/quant/made_tokenizer.h"
#include "worker/quant/random_numbers.h"

namespace tyllm::quant {
namespace {

using ::testing::HasSubstr;

/// A published model cut down: the same family, small numbers.
model::PublishedModel Small(model::PublishedModel model) {
  model.shape.layers = 3;
  model.shape.width = 256;
  model.shape.heads = 4;
  model.shape.kv_heads = model.shape.kv_heads == model.shape.heads ? 4 : 2;
  model.shape.head_size = 64;
  model.shape.intermediate = 640;
  model.shape.vocabulary = 300;
  return model;
}

/// One model of each family.
std::vector<model::PublishedModel> OneOfEachFamily() {
  std::vector<model::PublishedModel> models;
  for (const model::PublishedModel& model : model::PublishedModels()) {
    if (models.empty() || models.back().shape.family != model.shape.family) {
      models.push_back(model);
    }
  }
  for (model::PublishedModel& model : models) {
    model = Small(model);
  }
  return models;
}

/// The tower of a published model cut down; nothing for models that do not see.
std::optional<format::Json> SmallTower(const model::PublishedModel& model) {
  format::Json vision = model::PublishedVision(model.name, model.shape);
  if (vision.is_null()) {
    return std::nullopt;
  }
  vision["depth"] = 2;
  for (const char* const key : {"embed_dim", "intermediate_size"}) {
    if (vision.contains(key)) {
      vision[key] = 64;
    }
  }
  if (vision["hidden_size"] != model.shape.width) {
    vision["hidden_size"] = 64;
  }
  return vision;
}

class Synthesizing : public ::testing::Test {
 protected:
  Result<SynthesisReport> Run(SynthesisRequest request, const std::string& name) {
    request.out = folder_ / name;
    domain::NoProgress progress;
    return Synthesize(request, progress);
  }

  static model::PublishedModel Text() { return Small(*FindPublishedModel("Qwen3-0.6B")); }

  testing::TemporaryDirectory folder_;
};

TEST_F(Synthesizing, GivesModelsOfEveryFamilyThatOpenAndComputeFiniteLogits) {
  for (const model::PublishedModel& model : OneOfEachFamily()) {
    for (const bool quantized : {false, true}) {
      SynthesisRequest request{.model = model, .vision = SmallTower(model)};
      if (quantized) {
        request.quantized = domain::QuantizedFormat::kAwq;
      }
      const std::string name = model.shape.family + (quantized ? "-awq" : "");
      const auto report = Run(request, name);
      ASSERT_TRUE(report.ok()) << report.status().ToString();
      const auto opened = forward::OpenModel(folder_ / name);
      ASSERT_TRUE(opened.ok()) << opened.status().ToString();
      EXPECT_TRUE(opened->checkpoint.unused_tensors().empty());
      EXPECT_EQ(opened->checkpoint.visual_tensors().empty(), !request.vision.has_value());
      EXPECT_EQ(opened->checkpoint.group_size(), quantized ? 128 : 0);
      EXPECT_EQ(opened->shape().parameters(), model.shape.parameters());
      const auto backend = tensor::MakeBackend("cpu", 1);
      forward::Generator generator(*opened, **backend);
      const std::vector<std::int32_t> prompt = {5, 77, 120, 33};
      const auto text = generator.Generate({.prompt = prompt, .max_tokens = 4, .stop = {}});
      ASSERT_TRUE(text.ok()) << text.status().ToString();
    }
  }
}

TEST_F(Synthesizing, WeightsHaveTheDeviationOfTheirInputs) {
  for (const bool quantized : {false, true}) {
    SynthesisRequest request{.model = Text()};
    if (quantized) {
      request.quantized = domain::QuantizedFormat::kCompressedTensors;
    }
    const std::string name = quantized ? "q" : "f";
    ASSERT_TRUE(Run(request, name).ok());
    const auto model = model::Checkpoint::Open(folder_ / name);
    ASSERT_TRUE(model.ok()) << model.status().ToString();
    for (const auto& [linear, deviation] :
         {std::pair{"model.layers.1.mlp.up_proj", 1.0 / std::sqrt(256.0)},
          {"model.layers.1.mlp.down_proj", 1.0 / std::sqrt(640.0 * 6.0)}}) {
      double sum = 0.0;
      double squares = 0.0;
      const std::vector<float> weights = *model->ReadLinear(linear);
      for (const float w : weights) {
        ASSERT_TRUE(std::isfinite(w));
        sum += w;
        squares += static_cast<double>(w) * w;
      }
      const auto count = static_cast<double>(weights.size());
      EXPECT_NEAR(std::sqrt(squares / count) / deviation, 1.0, 0.03) << linear;
      EXPECT_NEAR(sum / count / deviation, 0.0, 0.02) << linear;
    }
  }
}

TEST_F(Synthesizing, GivesTheSameBytesAgainInAnyPieces) {
  SynthesisRequest request{.model = Text(), .quantized = domain::QuantizedFormat::kAwq};
  ASSERT_TRUE(Run(request, "a").ok());
  ASSERT_TRUE(Run(request, "b").ok());
  EXPECT_TRUE(testing::FilesOf(folder_ / "a") == testing::FilesOf(folder_ / "b"));
  request.shard_bytes = 400'000;
  const auto sharded = Run(request, "c");
  ASSERT_TRUE(sharded.ok());
  EXPECT_GT(sharded->weight_files, 2);
  const auto one = model::Checkpoint::Open(folder_ / "a");
  const auto many = model::Checkpoint::Open(folder_ / "c");
  ASSERT_TRUE(one.ok() && many.ok());
  EXPECT_EQ(one->TensorNames(), many->TensorNames());
  EXPECT_EQ(*one->ReadLinear("model.layers.2.mlp.up_proj"),
            *many->ReadLinear("model.layers.2.mlp.up_proj"));
}

TEST_F(Synthesizing, FewerLayersCanBeAskedFor) {
  SynthesisRequest request{.model = Text(), .layers = 1};
  const auto report = Run(request, "one");
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->layers, 1);
  EXPECT_EQ(model::Checkpoint::Open(folder_ / "one")->shape().layers, 1);
  request.layers = 4;
  EXPECT_THAT(Run(request, "four").status().message(), HasSubstr("--layers is 4, expected 1 to 3"));
}

TEST_F(Synthesizing, ATokenizerComesWithIt) {
  ASSERT_TRUE(Run({.model = Text()}, "m").ok());
  const auto tokenizer = model::Tokenizer::Load(folder_ / "m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  const auto ids = *tokenizer->Encode("Grüße, 1 world");
  EXPECT_EQ(tokenizer->Decode(ids), "Grüße, 1 world");
  const std::vector<std::int32_t> filler = {280};
  EXPECT_EQ(tokenizer->Decode(filler), " w280");
}

TEST_F(Synthesizing, RefusesWhatCannotBe) {
  const auto unknown = FindPublishedModel("Qwen9");
  EXPECT_EQ(unknown.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(unknown.status().message(), HasSubstr("Qwen3-8B"));
  EXPECT_EQ(FindPublishedModel("qwen3-8b")->name, "Qwen3-8B");
  SynthesisRequest request{.model = Text(), .quantized = domain::QuantizedFormat::kAwq};
  request.model.shape.intermediate = 600;
  EXPECT_THAT(Run(request, "x").status().message(), HasSubstr("down_proj"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
}

TEST_F(Synthesizing, LeavesNothingBehindOnAFullDisk) {
  domain::NoProgress progress;
  for (int healthy = 0; healthy < 30; healthy += 5) {
    testing::FaultyFileSystem files(healthy);
    const auto report = Synthesize({.model = Text(), .out = folder_ / "full"}, progress, files);
    ASSERT_FALSE(report.ok());
    EXPECT_FALSE(std::filesystem::exists(folder_ / "full"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "full.partial"));
  }
}

TEST(RandomNumbers, OfATensorDoNotDependOnPieces) {
  const RandomWords random("a.weight");
  const HalfDistribution normal = HalfDistribution::Normal(0.0, 1.0);
  std::vector<std::uint16_t> whole(64);
  normal.Fill(random, 0, whole);
  std::vector<std::uint16_t> part(24);
  normal.Fill(random, 40, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 40));
  std::vector<std::uint16_t> other(64);
  normal.Fill(RandomWords("b.weight"), 0, other);
  EXPECT_NE(whole, other);
}

TEST(RandomNumbers, AreNormal) {
  std::vector<std::uint16_t> halves(100'000);
  HalfDistribution::Normal(1.0, 0.5).Fill(RandomWords("x"), 0, halves);
  double sum = 0.0;
  double squares = 0.0;
  int within = 0;
  for (const std::uint16_t half : halves) {
    const double x = (format::HalfToFloat(half) - 1.0) / 0.5;
    sum += x;
    squares += x * x;
    within += std::abs(x) < 1.0 ? 1 : 0;
    ASSERT_LT(std::abs(x), 4.5);
  }
  EXPECT_NEAR(sum / 1e5, 0.0, 0.015);
  EXPECT_NEAR(squares / 1e5, 1.0, 0.02);
  EXPECT_NEAR(within / 1e5, 0.6827, 0.006);
}

}  // namespace
}  // namespace tyllm::quant
