// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "common/format/safetensors.h"
#include "tests/support/paths.h"

namespace tyllm::evaluate {
namespace {

const Path kGolden = Path(testing::kTestData) / "goldens" / "tiny-qwen3";

const forward::Model& TinyModel() {
  static const forward::Model kModel = *forward::OpenModel(kGolden);
  return kModel;
}

forward::TokenBatch GoldenTokens() {
  const auto file = *format::SafetensorsFile::Open(kGolden / "golden.safetensors");
  const format::TensorView& view = file.tensors().at("input_ids");
  forward::TokenBatch batch{.sequences = 1, .length = 40, .ids = std::vector<std::int32_t>(40)};
  std::memcpy(batch.ids.data(), view.bytes.data(), view.bytes.size());
  return batch;
}

TEST(ScoreWindows, LikelihoodsAreTheGoldens) {
  const auto file = *format::SafetensorsFile::Open(kGolden / "golden.safetensors");
  const std::vector<float> nll = *format::ToFloats("nll", file.tensors().at("nll"));
  double expected = 0.0;
  for (const float value : nll) {
    expected += static_cast<double>(value);
  }
  const auto backend = *tensor::MakeBackend("cpu", 2);
  const forward::Model* model = &TinyModel();
  const forward::TokenBatch batch = GoldenTokens();
  const auto sums = ScoreWindows({&model, 1}, *backend, {&batch, 1}, [](std::int64_t) {});
  ASSERT_TRUE(sums.ok()) << sums.status().ToString();
  EXPECT_EQ(sums->predictions, 39);
  // The golden's rotary frequencies are rounded to 16 bits (see tests/worker/forward/golden_test).
  EXPECT_NEAR(sums->nll[0] / 39.0, expected / 39.0, 1e-3);
}

TEST(ScoreWindows, AWindowsLastTokenDoesNotPredictTheNextWindow) {
  const auto backend = *tensor::MakeBackend("cpu", 1);
  const forward::Model* model = &TinyModel();
  const forward::TokenBatch whole = GoldenTokens();
  const forward::TokenBatch together{.sequences = 4, .length = 10, .ids = whole.ids};
  std::vector<forward::TokenBatch> apart;
  for (int i = 0; i < 4; ++i) {
    apart.push_back({.sequences = 1,
                     .length = 10,
                     .ids = {whole.ids.begin() + 10 * i, whole.ids.begin() + 10 * i + 10}});
  }
  const auto a = ScoreWindows({&model, 1}, *backend, {&together, 1}, [](std::int64_t) {});
  const auto b = ScoreWindows({&model, 1}, *backend, apart, [](std::int64_t) {});
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->predictions, 36);
  EXPECT_EQ(b->predictions, 36);
  EXPECT_NEAR(a->nll[0], b->nll[0], 1e-3);
}

TEST(ScoreWindows, AModelAgreesWithItself) {
  const auto backend = *tensor::MakeBackend("cpu", 2);
  const forward::Model* models[] = {&TinyModel(), &TinyModel()};
  const forward::TokenBatch batch = GoldenTokens();
  const auto sums = ScoreWindows(models, *backend, {&batch, 1}, [](std::int64_t) {});
  ASSERT_TRUE(sums.ok()) << sums.status().ToString();
  EXPECT_EQ(sums->divergence, 0.0);
  EXPECT_EQ(sums->agreements, 39);
  EXPECT_EQ(sums->nll[0], sums->nll[1]);
}

TEST(ScoreWindows, TellsOfEachWindowOnceForEachBlock) {
  const auto backend = *tensor::MakeBackend("cpu", 1);
  const forward::Model* models[] = {&TinyModel(), &TinyModel()};
  EXPECT_EQ(BlocksOf(models), 2 * 4);  // embedding, two layers, head
  const forward::TokenBatch whole = GoldenTokens();
  const std::vector<forward::TokenBatch> batches = {
      {.sequences = 3, .length = 10, .ids = {whole.ids.begin(), whole.ids.begin() + 30}},
      {.sequences = 1, .length = 10, .ids = {whole.ids.begin() + 30, whole.ids.end()}}};
  std::int64_t told = 0;
  ASSERT_TRUE(ScoreWindows(models, *backend, batches, [&](std::int64_t n) { told += n; }).ok());
  // Both heads run together and tell once for each of the two.
  EXPECT_EQ(told, 4 * BlocksOf(models));
}

TEST(ScoreWindows, SumsDoNotDependOnTheNumberOfThreads) {
  const forward::Model* model = &TinyModel();
  const forward::TokenBatch batch = GoldenTokens();
  std::vector<double> results;
  for (const int threads : {1, 2, 4}) {
    const auto backend = *tensor::MakeBackend("cpu", threads);
    const auto sums = ScoreWindows({&model, 1}, *backend, {&batch, 1}, [](std::int64_t) {});
    ASSERT_TRUE(sums.ok());
    results.push_back(sums->nll[0]);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

}  // namespace
}  // namespace tyllm::evaluate
