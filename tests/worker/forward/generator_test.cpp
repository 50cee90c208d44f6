// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/generator.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/forward/golden.h"

namespace tyllm::forward {
namespace {

using testing::Golden;
using Ids = std::vector<std::int32_t>;

class GeneratorTest : public ::testing::Test {
 protected:
  Golden golden_ = Golden::Open("tiny-qwen3");
  Ids ids_ = golden_.Ids("greedy_ids");
  Ids prompt_{ids_.begin(), ids_.begin() + 16};
  Ids expected_{ids_.begin() + 16, ids_.end()};
  std::unique_ptr<tensor::Backend> backend_ = *tensor::MakeBackend("cpu", 1);
};

TEST_F(GeneratorTest, ReadingBlocksAgainForEachTokenGivesTheSameTokens) {
  Generator generator(golden_.model, *backend_, 0);
  const auto generated = generator.Generate({.prompt = prompt_, .max_tokens = 5, .stop = {}});
  ASSERT_TRUE(generated.ok()) << generated.status().ToString();
  EXPECT_EQ(*generated, Ids(expected_.begin(), expected_.begin() + 5));
}

TEST_F(GeneratorTest, StopsBeforeAStopToken) {
  Generator generator(golden_.model, *backend_);
  const std::int32_t stop = expected_[6];
  const auto first = std::ranges::find(expected_, stop);
  const auto generated = generator.Generate({.prompt = prompt_, .max_tokens = 24, .stop = {stop}});
  ASSERT_TRUE(generated.ok()) << generated.status().ToString();
  EXPECT_EQ(*generated, Ids(expected_.begin(), first));
}

TEST_F(GeneratorTest, TokensComeOneByOneAndTextsDoNotMix) {
  Generator generator(golden_.model, *backend_);
  for (int text = 0; text < 2; ++text) {
    Ids seen;
    const auto generated = generator.Generate({.prompt = prompt_, .max_tokens = 8, .stop = {}},
                                              [&](std::int32_t token) { seen.push_back(token); });
    ASSERT_TRUE(generated.ok());
    EXPECT_EQ(seen, *generated);
    EXPECT_EQ(seen, Ids(expected_.begin(), expected_.begin() + 8));
  }
}

TEST_F(GeneratorTest, TextsThatGrowTogetherAreThoseThatGrowAlone) {
  const std::vector<Generator::Request> requests = {
      {.prompt = prompt_, .max_tokens = 24, .stop = {}},
      {.prompt = {ids_.begin() + 3, ids_.begin() + 9}, .max_tokens = 3, .stop = {}},
      {.prompt = prompt_, .max_tokens = 24, .stop = {expected_[2]}},
      {.prompt = prompt_, .max_tokens = 7, .stop = {}}};
  for (const std::int64_t resident : {std::int64_t{0}, std::int64_t{1} << 40}) {
    Generator generator(golden_.model, *backend_, resident);
    std::vector<std::size_t> ended;
    const auto together =
        generator.GenerateAll(requests, [&](std::size_t text) { ended.push_back(text); });
    ASSERT_TRUE(together.ok()) << together.status().ToString();
    ASSERT_EQ(together->size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ((*together)[i], *Generator(golden_.model, *backend_).Generate(requests[i])) << i;
    }
    std::ranges::sort(ended);
    EXPECT_EQ(ended, (std::vector<std::size_t>{0, 1, 2, 3}));
  }
}

TEST_F(GeneratorTest, RefusesWhatDoesNotFit) {
  Generator generator(golden_.model, *backend_);
  const std::int64_t positions = golden_.model.shape().max_positions;
  const auto too_long =
      generator.Generate({.prompt = prompt_, .max_tokens = positions - 15, .stop = {}});
  ASSERT_FALSE(too_long.ok());
  EXPECT_NE(too_long.status().message().find(std::to_string(positions)), std::string::npos);
  EXPECT_FALSE(generator.Generate({.prompt = {}, .max_tokens = 1, .stop = {}}).ok());
  EXPECT_FALSE(generator.Generate({.prompt = prompt_, .max_tokens = 0, .stop = {}}).ok());
  EXPECT_FALSE(generator.Generate({.prompt = {512}, .max_tokens = 1, .stop = {}}).ok());
}

}  // namespace
}  // namespace tyllm::forward
