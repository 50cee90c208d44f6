// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_key.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"

namespace tyllm::quant {
namespace {

TEST(QuantizationKeys, OfOneTextCutInTwoWaysDiffer) {
  const testing::TemporaryDirectory folder;
  testing::WriteModel(testing::SmallModel(), folder / "model");
  const auto model = *model::Checkpoint::Open(folder / "model");
  const auto key = [&](std::vector<std::int64_t> lengths) {
    const forward::TokenBatch batch{
        .sequences = 2, .length = 3, .ids = {1, 2, 3, 4, 5}, .lengths = std::move(lengths)};
    return *QuantizationKey(model, {}, "cpu", std::span(&batch, 1));
  };
  EXPECT_EQ(key({2, 3}), key({2, 3}));
  EXPECT_NE(key({2, 3}), key({3, 2}));
}

TEST(QuantizationKeys, KnowWhatIsInTheImages) {
  const testing::TemporaryDirectory folder;
  testing::internal::WriteText(folder / "a.png", "one picture");
  testing::internal::WriteText(folder / "b.png", "two picture");
  testing::internal::WriteText(folder / "pairs.jsonl", R"({"image": "a.png", "text": "a"})"
                                                       "\n"
                                                       R"({"image": "b.png", "text": "b"})"
                                                       "\n");
  const auto key = [&](std::int64_t most) { return *ImagePairsKey(folder / "pairs.jsonl", most); };
  const std::string first = key(1);
  const std::string both = key(2);
  testing::internal::WriteText(folder / "b.png", "new picture");
  EXPECT_EQ(key(1), first) << "the second one is not read";
  EXPECT_NE(key(2), both);
  EXPECT_NE(first, both);
}

}  // namespace
}  // namespace tyllm::quant
