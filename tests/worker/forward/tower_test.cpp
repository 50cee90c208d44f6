// SPDX-License-Identifier: Apache-2.0
// Visual towers and the language model over images and videos, against what transformers computes
// from the same pixels and weights.
#include "worker/forward/tower.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstring>

#include "common/format/float16.h"
#include "tests/support/paths.h"
#include "tests/worker/forward/golden.h"
#include "worker/forward/streamed_pass.h"
#include "worker/forward/tower_runner.h"

namespace tyllm::forward {
namespace {

using testing::Golden;
using testing::MaxDifference;

struct Case {
  const char* golden;
  const char* pixels;  ///< the golden with the pixels, which two models share
  const char* part;    ///< "image" or "video"
};

constexpr Case kCases[] = {
    {"tiny-qwen2-vl", "tiny-qwen2-vl", "image"},   {"tiny-qwen2-vl", "tiny-qwen2-vl", "video"},
    {"tiny-qwen2.5-vl", "tiny-qwen2-vl", "image"}, {"tiny-qwen2.5-vl", "tiny-qwen2-vl", "video"},
    {"tiny-qwen3-vl", "tiny-qwen3-vl", "image"},   {"tiny-qwen3-vl", "tiny-qwen3-vl", "video"},
};

format::SafetensorsFile OpenVisual(const std::string& golden) {
  auto file = format::SafetensorsFile::Open(Path(tyllm::testing::kTestData) / "goldens" / golden /
                                            "visual.safetensors");
  TYLLM_CHECK(file.ok());
  return *std::move(file);
}

class Towers : public ::testing::TestWithParam<Case> {
 protected:
  std::string Part(const std::string& name) const {
    return std::string(GetParam().part) + "." + name;
  }

  bool IsVideo() const { return std::string(GetParam().part) == "video"; }

  std::vector<float> Floats(const std::string& tensor) const {
    const auto& tensors =
        visual_.tensors().contains(tensor) ? visual_.tensors() : golden_.file.tensors();
    return *format::ToFloats(tensor, tensors.at(tensor));
  }

  std::vector<std::int32_t> Ids(const std::string& tensor) const {
    const auto& tensors =
        visual_.tensors().contains(tensor) ? visual_.tensors() : golden_.file.tensors();
    const format::TensorView& view = tensors.at(tensor);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(view.elements()));
    std::memcpy(ids.data(), view.bytes.data(), view.bytes.size());
    return ids;
  }

  VisualPixels Pixels() const {
    const std::vector<std::int32_t> grid = Ids(IsVideo() ? "video_grid_thw" : "image_grid_thw");
    const format::SafetensorsFile file = OpenVisual(GetParam().pixels);
    const std::string name = IsVideo() ? "pixel_values_videos" : "pixel_values";
    const format::TensorView& view = file.tensors().at(name);
    return {{.grid = {grid[0], grid[1], grid[2]}, .is_video = IsVideo()},
            {view.shape[0], view.shape[1], *format::ToFloats(name, view)}};
  }

  Golden golden_ = Golden::Open(GetParam().golden);
  format::SafetensorsFile visual_ = OpenVisual(GetParam().golden);
};

INSTANTIATE_TEST_SUITE_P(All, Towers, ::testing::ValuesIn(kCases), [](const auto& test) {
  std::string name = std::string(test.param.golden) + test.param.part;
  std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
  return name;
});

TEST_P(Towers, PositionsAreExactlyThoseOfTransformers) {
  const auto tower = *OpenTower(golden_.model);
  const std::vector<std::int32_t> ids = Ids(Part("input_ids"));
  const model::VisualItem item = Pixels().item;
  const auto positions = model::PositionsOf(tower.shape, ids, {&item, 1});
  ASSERT_TRUE(positions.ok()) << positions.status().ToString();
  std::vector<std::int32_t> all;
  for (const auto& axis : positions->axes) {
    all.insert(all.end(), axis.begin(), axis.end());
  }
  EXPECT_EQ(all, Ids(Part("position_ids")));
  EXPECT_EQ(positions->delta(), Ids(Part("rope_delta")).front());
  for (const std::int64_t row : positions->rows) {
    const std::int32_t id = ids[static_cast<std::size_t>(row)];
    EXPECT_EQ(id, IsVideo() ? tower.shape.video_token : tower.shape.image_token);
  }
}

/// The goldens' maker held rotary frequencies in 16 bits: see golden.h.
std::vector<float> RoundedTowerFrequencies(const model::VisionShape& shape) {
  std::vector<float> frequencies = graph::TowerFrequencies(shape);
  for (float& f : frequencies) {
    f = format::BFloat16ToFloat(format::FloatToBFloat16(f));
  }
  return frequencies;
}

TEST_P(Towers, OutputsAreThoseOfTransformers) {
  const auto tower = *OpenTower(golden_.model);
  const auto backend = *tensor::MakeBackend("cpu", 2);
  const VisualPixels pixels = Pixels();
  float last_hidden = -1;
  const auto after = [&](const graph::Block& block, std::size_t, const tensor::Matrix& output) {
    if (&block == &tower.layers.back()) {
      last_hidden = MaxDifference(output.data(), Floats(Part("visual.last_hidden_state")));
    }
  };
  const auto features = RunTower(golden_.model, tower, *backend, {&pixels, 1}, after,
                                 RoundedTowerFrequencies(tower.shape));
  ASSERT_TRUE(features.ok()) << features.status().ToString();
  const VisualFeatures& made = features->front();
  EXPECT_GE(last_hidden, 0.0F);
  EXPECT_LT(last_hidden, 1e-3F);
  EXPECT_LT(MaxDifference(made.tokens.data(), Floats(Part("visual.pooler_output"))), 1e-3F);
  ASSERT_EQ(made.deepstack.size(), tower.shape.deepstack.size());
  for (std::size_t level = 0; level < made.deepstack.size(); ++level) {
    const std::string name = Part("visual.deepstack_features." + std::to_string(level));
    EXPECT_LT(MaxDifference(made.deepstack[level].data(), Floats(name)), 1e-3F);
  }
}

tensor::Matrix RoundedRotations(const Golden& golden, const model::VisionShape& vision,
                                const model::VisualPositions& positions) {
  return RotationsOf(vision, testing::RoundedFrequencies(golden), positions.axes);
}

TEST_P(Towers, TheLanguageModelSeesWhatTransformersSees) {
  const auto tower = *OpenTower(golden_.model);
  const auto backend = *tensor::MakeBackend("cpu", 2);
  const VisualPixels pixels = Pixels();
  const std::vector<std::int32_t> ids = Ids(Part("input_ids"));
  const auto positions = *model::PositionsOf(tower.shape, ids, {&pixels.item, 1});
  const auto features = *RunTower(golden_.model, tower, *backend, {&pixels, 1}, {},
                                  RoundedTowerFrequencies(tower.shape));
  auto input = *MakeVisualInput(golden_.model.shape(), tower.shape, positions, features);
  input.rotations = RoundedRotations(golden_, tower.shape, positions);
  const auto length = static_cast<std::int64_t>(ids.size());
  const TokenBatch batch{.sequences = 1,
                         .length = length,
                         .ids = ids,
                         .visual = std::make_shared<VisualInput>(std::move(input))};
  BlockRunner runner(*backend, golden_.model.shape());
  const auto hidden = *RunBody(
      golden_.model, runner, {&batch, 1},
      [&](std::int64_t block, std::int64_t, const tensor::Matrix& states) {
        if (block < golden_.model.shape().layers) {  // the last is after the final norm there
          const std::string name = Part("hidden." + std::to_string(block));
          EXPECT_LT(MaxDifference(states.data(), Floats(name)), 1e-3F) << name;
        }
      });
  const Head head = *Head::Load(golden_.model);
  const tensor::Matrix logits = *head.Logits(runner, hidden.front(), 0, length);
  EXPECT_LT(MaxDifference(logits.data(), Floats(Part("logits"))), 1e-3F);
}

/// Logits of the case's text and pixels, and what the tower makes of the pixels.
struct Seen {
  VisualFeatures features;
  tensor::Matrix logits;
};

Seen See(const Golden& golden, const VisualPixels& pixels, const std::vector<std::int32_t>& ids,
         tensor::Backend& backend) {
  const auto tower = *OpenTower(golden.model);
  const auto positions = *model::PositionsOf(tower.shape, ids, {&pixels.item, 1});
  auto features = *RunTower(golden.model, tower, backend, {&pixels, 1});
  auto input = *MakeVisualInput(golden.model.shape(), tower.shape, positions, features);
  const auto length = static_cast<std::int64_t>(ids.size());
  const TokenBatch batch{.sequences = 1,
                         .length = length,
                         .ids = ids,
                         .visual = std::make_shared<VisualInput>(std::move(input))};
  BlockRunner runner(backend, golden.model.shape());
  const auto hidden = *RunBody(golden.model, runner, {&batch, 1}, {});
  const Head head = *Head::Load(golden.model, backend);
  const tensor::Matrix logits = *head.Logits(runner, hidden.front(), 0, length);
  return {std::move(features.front()), backend.Fetch(logits.view())};
}

TEST_P(Towers, AGpuSeesWhatTheCpuSees) {
  auto gpu = tensor::MakeBackend("cuda:0");
  if (!gpu.ok()) {
    GTEST_SKIP() << gpu.status().message();
  }
  const auto cpu = *tensor::MakeBackend("cpu", 2);
  const std::vector<std::int32_t> ids = Ids(Part("input_ids"));
  const Seen expected = See(golden_, Pixels(), ids, *cpu);
  const Seen found = See(golden_, Pixels(), ids, **gpu);
  const auto host = [](const tensor::Matrix& matrix) {
    return std::vector<float>(matrix.data(), matrix.data() + matrix.rows() * matrix.columns());
  };
  EXPECT_LT(MaxDifference(found.features.tokens.data(), host(expected.features.tokens)), 1e-3F);
  ASSERT_EQ(found.features.deepstack.size(), expected.features.deepstack.size());
  for (std::size_t level = 0; level < found.features.deepstack.size(); ++level) {
    EXPECT_LT(MaxDifference(found.features.deepstack[level].data(),
                            host(expected.features.deepstack[level])),
              1e-3F);
  }
  EXPECT_LT(MaxDifference(found.logits.data(), host(expected.logits)), 1e-3F);
}

TEST_P(Towers, PixelsOfAnotherSizeAreRefused) {
  const auto tower = *OpenTower(golden_.model);
  const auto backend = *tensor::MakeBackend("cpu", 1);
  VisualPixels pixels = Pixels();
  pixels.item.grid.rows += tower.shape.merge;
  EXPECT_EQ(RunTower(golden_.model, tower, *backend, {&pixels, 1}).status().code(),
            StatusCode::kInvalidArgument);
  pixels = Pixels();
  pixels.item.grid.columns -= 1;
  EXPECT_EQ(RunTower(golden_.model, tower, *backend, {&pixels, 1}).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::forward
