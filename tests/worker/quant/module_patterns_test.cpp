// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/module_patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tyllm::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ModulePatterns, AreFoundAnywhereInAName) {
  const std::vector<std::string> expressions = {R"(\.down_proj$)", R"(layers\.1\.)"};
  const auto patterns = ModulePatterns::Compile(expressions);
  ASSERT_TRUE(patterns.ok());
  EXPECT_TRUE(patterns->Match("model.layers.0.mlp.down_proj"));
  EXPECT_TRUE(patterns->Match("model.layers.1.self_attn.q_proj"));
  EXPECT_FALSE(patterns->Match("model.layers.11.self_attn.q_proj"));
}

TEST(ModulePatterns, OfNoneMatchNothing) {
  EXPECT_FALSE(ModulePatterns::Compile({})->Match("model.layers.0.mlp.down_proj"));
}

TEST(ModulePatterns, ThatAreNoExpressionsAreRefusedWithTheReason) {
  const std::vector<std::string> expressions = {"ok", "q_proj("};
  const auto patterns = ModulePatterns::Compile(expressions);
  ASSERT_FALSE(patterns.ok());
  EXPECT_EQ(patterns.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(patterns.status().message(), HasSubstr("'q_proj('"));
  EXPECT_THAT(patterns.status().message(), HasSubstr("character 8"));
}

TEST(ModulePatterns, ThatMatchNothingAreFound) {
  const std::vector<std::string> expressions = {"q_proj", "visual"};
  const std::vector<std::string> modules = {"a.q_proj", "a.k_proj"};
  EXPECT_THAT(ModulePatterns::Compile(expressions)->Unused(modules), ElementsAre("visual"));
}

}  // namespace
}  // namespace tyllm::quant
