// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/visual/mrope_build.h"
#include "worker/forward/tower.h"
#include "worker/simulator/rotations.h"

namespace tyllm::compile {
namespace {

class Mrope : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr std::int64_t kMax = 24;

  /// The files of two dies.
  void Write(const Path& root) {
    auto model = forward::OpenModel(Path(tyllm::testing::kTestData) / "goldens" / GetParam());
    ASSERT_TRUE(model.ok());
    model_.emplace(*std::move(model));
    auto tower = forward::OpenTower(*model_);
    ASSERT_TRUE(tower.ok());
    tower_.emplace(*std::move(tower));
    auto compiler = FindCompiler("", "x86-64-v3");
    ASSERT_TRUE(compiler.ok()) << compiler.status().ToString();
    const ObjectBuilder builder(LocalFileSystem(), *std::move(compiler), "x86-64-v3",
                                root / "scratch", testing::SharedCache());
    const Status written = WriteMropeDies(LocalFileSystem(), model_->shape(), tower_->shape, kMax,
                                          {0, 1}, builder, root);
    ASSERT_TRUE(written.ok()) << written.ToString();
    ASSERT_TRUE(WriteMropeFiles(LocalFileSystem(), model_->shape(), kMax, 2, root).ok());
  }

  std::optional<forward::Model> model_;
  std::optional<graph::Tower> tower_;
};

TEST_P(Mrope, ComputesTheEvaluatedModelsRotationsInPieces) {
  const tyllm::testing::TemporaryDirectory folder;
  ASSERT_NO_FATAL_FAILURE(Write(folder.path()));
  EXPECT_TRUE(std::filesystem::exists(folder / "mrope/3_24_[int32]_die1.so"));

  auto rotations =
      simulator::Rotations::Load({folder.path(), kMax, 2}, model_->shape(), tower_->shape);
  ASSERT_TRUE(rotations.ok()) << rotations.status().ToString();
  std::array<std::vector<std::int32_t>, 3> axes;
  for (std::int32_t t = 0; t < kMax; ++t) {
    axes[0].push_back(t / 5);
    axes[1].push_back(t);
    axes[2].push_back(40 - t);
  }
  for (const auto& [first, count] : {std::pair{0, 7}, std::pair{7, 16}, std::pair{23, 1}}) {
    const auto part = [&](std::size_t axis) {
      return std::span<const std::int32_t>(axes[axis])
          .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    };
    rotations->Set(first, {part(0), part(1), part(2)});
  }
  const tensor::Matrix expected =
      forward::RotationsOf(tower_->shape, model::RopeFrequencies(model_->shape()), axes);
  const float* const rows = rotations->RowsFrom(0);
  for (std::int64_t i = 0; i < expected.rows() * expected.columns(); ++i) {
    ASSERT_EQ(rows[i], expected.data()[i]) << i;
  }
  auto plain = simulator::Rotations::Load({folder.path(), kMax, 2, simulator::Engine::kInterpreter},
                                          model_->shape(), tower_->shape);
  ASSERT_TRUE(plain.ok()) << plain.status().ToString();
  plain->Set(0, {axes[0], axes[1], axes[2]});
  EXPECT_TRUE(std::equal(rows, rows + expected.rows() * expected.columns(), plain->RowsFrom(0)));
}

TEST_P(Mrope, ParametersOfEveryDieAreTheModels) {
  const tyllm::testing::TemporaryDirectory folder;
  ASSERT_NO_FATAL_FAILURE(Write(folder.path()));
  const auto load = [&] {
    return simulator::Rotations::Load({folder.path(), kMax, 2}, model_->shape(), tower_->shape)
        .status();
  };
  ASSERT_TRUE(load().ok());
  const Path path = folder / "mrope/3_24_[int32]_die1.params";
  std::string bytes = *LocalFileSystem().Read(path);
  const auto place = artifact::ParamsFile::Open(path)->Find(simulator::kMropeAxes);
  ASSERT_TRUE(place.ok());
  bytes[place->offset] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, bytes).ok());
  EXPECT_EQ(load().code(), StatusCode::kDataLoss) << load().ToString();
  EXPECT_NE(load().message().find("die1.params"), std::string::npos) << load().message();
}

INSTANTIATE_TEST_SUITE_P(All, Mrope, ::testing::Values("tiny-qwen2.5-vl", "tiny-qwen3-vl"),
                         [](const auto& test) {
                           return std::string(test.param) == "tiny-qwen3-vl" ? "Interleaved"
                                                                             : "Sections";
                         });

}  // namespace
}  // namespace tyllm::compile
