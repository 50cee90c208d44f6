// SPDX-License-Identifier: Apache-2.0
// Encodings that the reference implementation (Hugging Face tokenizers) gave.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "common/format/json.h"
#include "tests/support/paths.h"
#include "worker/model/tokenizer.h"

namespace tyllm::model {
namespace {

void ExpectGoldens(const Path& directory) {
  SCOPED_TRACE(directory);
  const Result<Tokenizer> tokenizer = Tokenizer::Load(directory);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  const Result<format::Json> cases = format::ReadJsonFile(directory / "encode.golden.json");
  ASSERT_TRUE(cases.ok()) << cases.status().ToString();
  ASSERT_GT(cases->size(), 0U);
  for (const format::Json& golden : *cases) {
    const auto text = golden["text"].get<std::string>();
    SCOPED_TRACE(text);
    const auto ids = tokenizer->Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.status().ToString();
    EXPECT_EQ(*ids, golden["ids"].get<std::vector<TokenId>>());
  }
}

TEST(TokenizerGoldenTest, EncodesAsTheReferenceWithQwen3Rules) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-qwen3");
}

TEST(TokenizerGoldenTest, EncodesAsTheReferenceWithLlama3Rules) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-llama3");
}

// Full tokenizers are too large for the repository: name folders that hold tokenizer.json and
// encode.golden.json, separated by colons.
TEST(TokenizerGoldenTest, EncodesAsTheReferenceWithTokenizersOfTheEnvironment) {
  const char* folders = std::getenv("TYLLM_GOLDEN_TOKENIZERS");  // NOLINT(concurrency-mt-unsafe)
  if (folders == nullptr) {
    GTEST_SKIP() << "TYLLM_GOLDEN_TOKENIZERS names no folders";
  }
  std::istringstream list(folders);
  std::string folder;
  while (std::getline(list, folder, ':')) {
    ExpectGoldens(folder);
  }
}

}  // namespace
}  // namespace tyllm::model
