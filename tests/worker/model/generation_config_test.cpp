// SPDX-License-Identifier: Apache-2.0
#include "worker/model/generation_config.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm::model {
namespace {

using Tokens = std::vector<TokenId>;

class GenerationConfigTest : public ::testing::Test {
 protected:
  void Write(const char* name, std::string_view content) {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder_ / name, content).ok());
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(GenerationConfigTest, TakesANumberOrAList) {
  Write("generation_config.json", R"({"eos_token_id": 7})");
  EXPECT_EQ(*StopTokens(folder_.path()), Tokens{7});
  Write("generation_config.json", R"({"eos_token_id": [9, 8, 9]})");
  EXPECT_EQ(*StopTokens(folder_.path()), (Tokens{9, 8}));
}

TEST_F(GenerationConfigTest, FallsBackToTheModelsConfiguration) {
  Write("config.json", R"({"eos_token_id": 3})");
  EXPECT_EQ(*StopTokens(folder_.path()), Tokens{3});
  Write("generation_config.json", R"({"eos_token_id": null})");
  EXPECT_EQ(*StopTokens(folder_.path()), Tokens{3});
  Write("config.json", R"({"text_config": {"eos_token_id": 4}})");
  EXPECT_EQ(*StopTokens(folder_.path()), Tokens{4});
}

TEST_F(GenerationConfigTest, IsEmptyWhenNobodySays) {
  EXPECT_EQ(*StopTokens(folder_.path()), Tokens{});
  Write("config.json", "{}");
  EXPECT_EQ(*StopTokens(folder_.path()), Tokens{});
}

TEST_F(GenerationConfigTest, NamesAWrongValue) {
  for (const char* text : {R"({"eos_token_id": "7"})", R"({"eos_token_id": -1})",
                           R"({"eos_token_id": [1, 2.5]})", "{"}) {
    Write("generation_config.json", text);
    const auto tokens = StopTokens(folder_.path());
    ASSERT_FALSE(tokens.ok()) << text;
    EXPECT_NE(tokens.status().message().find("generation_config.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace tyllm::model
