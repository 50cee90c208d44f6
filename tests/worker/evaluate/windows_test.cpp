// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/windows.h"

#include <gtest/gtest.h>

#include <numeric>

namespace tyllm::evaluate {
namespace {

model::ModelShape Shape() {
  model::ModelShape shape;
  shape.max_positions = 4096;
  return shape;
}

TEST(CountWindows, AWindowMustEndBeforeTheTextDoes) {
  const domain::EvaluateOptions options{.window = 8, .max_windows = 0};
  EXPECT_EQ(*CountWindows(9, options, Shape()), 1);
  EXPECT_EQ(*CountWindows(16, options, Shape()), 1);
  EXPECT_EQ(*CountWindows(17, options, Shape()), 2);
  // The published protocol's texts: 447,125 and 412,377 predictions.
  EXPECT_EQ(*CountWindows(448406, {.window = 512, .max_windows = 0}, Shape()) * 511, 447125);
}

TEST(CountWindows, MaxWindowsIsALimitNotADemand) {
  EXPECT_EQ(*CountWindows(100, {.window = 8, .max_windows = 3}, Shape()), 3);
  EXPECT_EQ(*CountWindows(20, {.window = 8, .max_windows = 3}, Shape()), 2);
}

TEST(CountWindows, ATextThatIsTooShortSaysHowManyTokensThereAreAndAreNeeded) {
  for (const std::int64_t tokens : {0, 1, 511, 512}) {
    const auto windows = CountWindows(tokens, {.window = 512, .max_windows = 0}, Shape());
    ASSERT_FALSE(windows.ok()) << tokens;
    EXPECT_EQ(windows.status().code(), StatusCode::kInvalidArgument);
    const std::string& message = windows.status().message();
    EXPECT_NE(message.find(std::to_string(tokens) + " tokens"), std::string::npos) << message;
    EXPECT_NE(message.find("513"), std::string::npos) << message;
  }
}

TEST(CountWindows, AWindowBeyondThePositionsIsRefused) {
  const auto windows = CountWindows(1'000'000, {.window = 4097, .max_windows = 0}, Shape());
  ASSERT_FALSE(windows.ok());
  EXPECT_NE(windows.status().message().find("4097"), std::string::npos);
  EXPECT_NE(windows.status().message().find("4096"), std::string::npos);
  EXPECT_FALSE(CountWindows(100, {.window = 1, .max_windows = 0}, Shape()).ok());
  EXPECT_FALSE(CountWindows(100, {.window = 0, .max_windows = 0}, Shape()).ok());
}

TEST(CutWindows, GivesEveryTokenOfEveryWindowInOrder) {
  std::vector<std::int32_t> tokens(10000);
  std::iota(tokens.begin(), tokens.end(), 0);
  for (const std::int64_t window : {7, 512, 2048, 3000}) {
    const std::int64_t windows = 9999 / window;
    std::vector<std::int32_t> joined;
    for (const forward::TokenBatch& batch : CutWindows(tokens, window, windows)) {
      EXPECT_EQ(batch.length, window);
      EXPECT_EQ(static_cast<std::int64_t>(batch.ids.size()), batch.sequences * window);
      joined.insert(joined.end(), batch.ids.begin(), batch.ids.end());
    }
    EXPECT_EQ(joined, std::vector<std::int32_t>(tokens.begin(), tokens.begin() + windows * window));
  }
}

}  // namespace
}  // namespace tyllm::evaluate
