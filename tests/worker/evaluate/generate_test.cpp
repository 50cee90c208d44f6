// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/generate.h"

#include <gtest/gtest.h>

#include <cstring>

#include "common/format/safetensors.h"
#include "tests/support/paths.h"

namespace tyllm::evaluate {
namespace {

const Path kGolden = Path(testing::kTestData) / "goldens" / "tiny-qwen3";
const Path kDemo = Path(testing::kSourceFolder) / "examples" / "models" / "demo-qwen3-4m";

Result<Generation> GenerateWith(const GenerateRequest& request) {
  domain::NoProgress progress;
  return Generate(request, SystemClock(), progress);
}

TEST(Generate, TokensInTokensOutWithoutATokenizer) {
  const auto file = *format::SafetensorsFile::Open(kGolden / "golden.safetensors");
  std::vector<std::int32_t> ids(40);
  std::memcpy(ids.data(), file.tensors().at("greedy_ids").bytes.data(), 160);
  const auto generation = GenerateWith({.model = kGolden,
                                        .ids = {ids.begin(), ids.begin() + 16},
                                        .max_tokens = 24,
                                        .stop = false,
                                        .device = "cpu"});
  ASSERT_TRUE(generation.ok()) << generation.status().ToString();
  EXPECT_EQ(generation->token_ids, std::vector<std::int32_t>(ids.begin() + 16, ids.end()));
  EXPECT_FALSE(generation->text.has_value());
}

TEST(Generate, TextInTextOut) {
  const auto generation = GenerateWith(
      {.model = kDemo, .prompt = "The river is", .max_tokens = 12, .stop = false, .device = "cpu"});
  ASSERT_TRUE(generation.ok()) << generation.status().ToString();
  EXPECT_EQ(generation->token_ids.size(), 12U);
  ASSERT_TRUE(generation->text.has_value());
  EXPECT_FALSE(generation->text->empty());
  std::vector<std::int64_t> ids(generation->prompt_ids.begin(), generation->prompt_ids.end());
  const auto again =
      GenerateWith({.model = kDemo, .ids = ids, .max_tokens = 12, .stop = false, .device = "cpu"});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->token_ids, generation->token_ids);
  EXPECT_EQ(again->text, generation->text);
}

TEST(Generate, BadPromptsAreRefused) {
  EXPECT_EQ(GenerateWith({.model = kDemo, .ids = {4096}, .device = "cpu"}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(GenerateWith({.model = kDemo, .ids = {}, .device = "cpu"}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(GenerateWith({.model = kDemo, .prompt = "", .device = "cpu"}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(GenerateWith({.model = kDemo, .ids = {1}, .max_tokens = 4096, .device = "cpu"})
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(GenerateWith({.model = "/nowhere", .ids = {1}, .device = "cpu"}).status().code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace tyllm::evaluate
