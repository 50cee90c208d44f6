// SPDX-License-Identifier: Apache-2.0
// Visual towers, compiled for dies and run on the simulator, against the tower that `evaluate`
// computes in float32.
#include "worker/forward/tower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <random>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/visual/tower_build.h"
#include "worker/compile/visual/tower_weights.h"
#include "worker/simulator/loaded_tower.h"

namespace tyllm::compile {
namespace {

struct Case {
  const char* golden;
  domain::Modality modality;
  std::int64_t dies;
};

class CompiledTower : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const Path directory = Path(tyllm::testing::kTestData) / "goldens" / GetParam().golden;
    auto model = forward::OpenModel(directory);
    ASSERT_TRUE(model.ok()) << model.status().ToString();
    model_.emplace(*std::move(model));
    const domain::VisualOptions options{
        .image = "140x110", .modality = GetParam().modality, .frames = 6};
    auto plan = PlanTower(*model_, options, GetParam().dies);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    plan_.emplace(*std::move(plan));
  }

  Status Build(const Path& root) {
    TYLLM_ASSIGN(SystemCompiler compiler, FindCompiler("", "x86-64-v3"));
    const ObjectBuilder builder(LocalFileSystem(), std::move(compiler), "x86-64-v3",
                                root / "scratch", testing::SharedCache());
    std::vector<std::int64_t> dies(plan_->schedules.size());
    std::iota(dies.begin(), dies.end(), std::int64_t{0});
    ThreadPool pool(2);
    domain::NoProgress progress;
    TYLLM_TRY(BuildTowerDies(LocalFileSystem(), *plan_, *model_, dies, builder, false, pool, root,
                             progress)
                  .status());
    std::filesystem::copy_file(model_->checkpoint.directory() / "config.json",
                               root / "config.json");
    return WriteTowerFiles(LocalFileSystem(), *plan_, *model_, root);
  }

  tensor::Matrix RandomPatches() const {
    const model::VisionShape& shape = plan_->tower.shape;
    tensor::Matrix patches(plan_->config.grid.patches(), shape.patch_values());
    std::mt19937 random(7);
    std::uniform_real_distribution<float> colour(-1.8F, 2.1F);
    for (std::int64_t r = 0; r < patches.rows(); ++r) {
      std::ranges::generate(patches.row(r), [&] { return colour(random); });
    }
    return patches;
  }

  static float Difference(const tensor::Matrix& a, const tensor::Matrix& b) {
    EXPECT_EQ(a.rows(), b.rows());
    EXPECT_EQ(a.columns(), b.columns());
    float largest = 0;
    for (std::int64_t i = 0; i < a.rows() * a.columns(); ++i) {
      largest = std::max(largest, std::abs(a.data()[i] - b.data()[i]));
    }
    return largest;
  }

  std::optional<forward::Model> model_;
  std::optional<TowerPlan> plan_;
};

TEST_P(CompiledTower, MakesTheFeaturesOfTheEvaluatedModel) {
  const tyllm::testing::TemporaryDirectory folder;
  const Status built = Build(folder.path());
  ASSERT_TRUE(built.ok()) << built.ToString();
  auto loaded = simulator::LoadedTower::Load(folder.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  const tensor::Matrix patches = RandomPatches();
  const auto features = loaded->Run(patches);
  ASSERT_TRUE(features.ok()) << features.status().ToString();

  const auto backend = tensor::MakeBackend("cpu", 2);
  ASSERT_TRUE(backend.ok());
  const forward::VisualPixels pixels[] = {
      {{.grid = plan_->config.grid, .is_video = GetParam().modality == domain::Modality::kVideo},
       patches}};
  const auto expected = forward::RunTower(*model_, plan_->tower, **backend, pixels);
  ASSERT_TRUE(expected.ok()) << expected.status().ToString();
  EXPECT_LT(Difference(features->tokens, expected->front().tokens), 1e-2F);
  ASSERT_EQ(features->deepstack.size(), expected->front().deepstack.size());
  for (std::size_t level = 0; level < features->deepstack.size(); ++level) {
    EXPECT_LT(Difference(features->deepstack[level], expected->front().deepstack[level]), 1e-2F);
  }
}

TEST_P(CompiledTower, TablesOfAnotherImageSizeAreFound) {
  if (plan_->tower.shape.window == 0) {
    return;  // only windows depend on the sides for the same number of patches
  }
  const tyllm::testing::TemporaryDirectory folder;
  ASSERT_TRUE(Build(folder.path()).ok());
  plan::TowerSchedule turned = plan_->schedules.front();
  std::swap(turned.grid.rows, turned.grid.columns);
  const auto preset = TowerPreset(model_->checkpoint, turned, plan_->config.module);
  ASSERT_TRUE(preset.ok()) << preset.status().ToString();
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(),
                          folder / artifact::TowerFile(plan_->config.signature, "preset_kwargs.pt"),
                          *preset)
          .ok());
  const Status status = simulator::LoadedTower::Load(folder.path()).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
}

TEST_P(CompiledTower, AnImageOfAnotherSizeIsRefusedWithBothSizes) {
  const tyllm::testing::TemporaryDirectory folder;
  ASSERT_TRUE(Build(folder.path()).ok());
  auto loaded = simulator::LoadedTower::Load(folder.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  const auto run = loaded->Run(tensor::Matrix(4, plan_->tower.shape.patch_values()));
  EXPECT_EQ(run.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(run.status().message().find(std::to_string(plan_->config.width)), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(All, CompiledTower,
                         ::testing::Values(Case{"tiny-qwen2-vl", domain::Modality::kImage, 1},
                                           Case{"tiny-qwen2-vl", domain::Modality::kVideo, 2},
                                           Case{"tiny-qwen2.5-vl", domain::Modality::kImage, 1},
                                           Case{"tiny-qwen2.5-vl", domain::Modality::kVideo, 3},
                                           Case{"tiny-qwen2.5-vl", domain::Modality::kImage, 4},
                                           Case{"tiny-qwen3-vl", domain::Modality::kImage, 2},
                                           Case{"tiny-qwen3-vl", domain::Modality::kVideo, 3}),
                         [](const auto& test) {
                           std::string name =
                               std::string(test.param.golden) +
                               (test.param.modality == domain::Modality::kVideo ? "Video"
                                                                                : "Image") +
                               std::to_string(test.param.dies);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

}  // namespace
}  // namespace tyllm::compile
