// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "worker/model/published_models.h"

namespace tyllm::quant {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

std::int64_t Needs(std::string_view model, const domain::QuantizeOptions& options,
                   std::int64_t threads) {
  const auto published = model::PublishedModels();
  const auto found = std::ranges::find(published, model, &model::PublishedModel::name);
  EXPECT_NE(found, published.end()) << model;
  return QuantizationMemory(found->shape, options, threads);
}

TEST(QuantizationMemory, OfTheModelsThatItWasPlannedForStaysWithinWhatWasPlanned) {
  domain::QuantizeOptions options;
  options.samples = 32;
  for (const std::int64_t threads : {2, 16}) {
    EXPECT_LT(Needs("Qwen3-1.7B", options, threads), 2 * kGiB);
    EXPECT_LT(Needs("Qwen3-8B", options, threads), 4 * kGiB);
  }
}

TEST(QuantizationMemory, GrowsWithTheTextAndNotWithTheLayers) {
  for (const model::PublishedModel& published : model::PublishedModels()) {
    model::ModelShape shape = published.shape;
    domain::QuantizeOptions options;
    const std::int64_t before = QuantizationMemory(shape, options, 2);
    options.samples *= 4;
    EXPECT_GT(QuantizationMemory(shape, options, 2), before) << published.name;
    shape.layers *= 2;
    options.samples /= 4;
    EXPECT_EQ(QuantizationMemory(shape, options, 2), before) << published.name;
    options.method = domain::QuantizeMethod::kRtn;
    EXPECT_LT(QuantizationMemory(shape, options, 2), before) << published.name;
  }
}

}  // namespace
}  // namespace tyllm::quant
