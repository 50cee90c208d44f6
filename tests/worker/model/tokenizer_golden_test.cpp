// SPDX-License-Identifier: Apache-2.0
// Encodings that the reference implementation (Hugging Face tokenizers) gave.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "common/base/digest.h"
#include "common/format/json.h"
#include "tests/support/paths.h"
#include "worker/model/tokenizer.h"

namespace tyllm::model {
namespace {

std::string Joined(const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) {
    text += (text.empty() ? "" : ",") + std::to_string(id);
  }
  return text;
}

std::string Streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) {
    text += decoder.Push(id);
  }
  return text + decoder.Flush();
}

// A text with its ids, and how they are decoded: without special tokens, and with them where that
// differs.
void ExpectTokens(const Tokenizer& tokenizer, const format::Json& golden,
                  const std::vector<TokenId>& ids) {
  EXPECT_EQ(ids, golden["ids"].get<std::vector<TokenId>>());
  if (golden.contains("decoded")) {
    const auto decoded = golden["decoded"].get<std::string>();
    EXPECT_EQ(tokenizer.Decode(ids), decoded);
    EXPECT_EQ(Streamed(tokenizer, ids), decoded);
    EXPECT_EQ(tokenizer.Decode(ids, false), golden.value("with_special", decoded));
  }
}

// A text many times over, whose ids would be too many to keep.
void ExpectDigests(const Tokenizer& tokenizer, const format::Json& golden,
                   const std::vector<TokenId>& ids) {
  EXPECT_EQ(ids.size(), golden["count"].get<std::size_t>());
  EXPECT_EQ(DigestOf(Joined(ids)).Hex(), golden["ids_sha256"].get<std::string>());
  EXPECT_EQ(DigestOf(tokenizer.Decode(ids)).Hex(), golden["decoded_sha256"].get<std::string>());
  EXPECT_EQ(Streamed(tokenizer, ids), tokenizer.Decode(ids));
}

void ExpectGoldens(const Path& directory) {
  SCOPED_TRACE(directory);
  const Result<Tokenizer> tokenizer = Tokenizer::Load(directory);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  const Result<format::Json> cases = format::ReadJsonFile(directory / "encode.golden.json");
  ASSERT_TRUE(cases.ok()) << cases.status().ToString();
  ASSERT_GT(cases->size(), 0U);
  for (const format::Json& golden : *cases) {
    const auto unit = golden["text"].get<std::string>();
    SCOPED_TRACE(unit);
    std::string text;
    for (int i = 0; i < golden.value("times", 1); ++i) {
      text += unit;
    }
    const auto ids = tokenizer->Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.status().ToString();
    (golden.contains("times") ? ExpectDigests : ExpectTokens)(*tokenizer, golden, *ids);
  }
}

TEST(TokenizerGoldenTest, EncodesAsTheReferenceWithQwen3Rules) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-qwen3");
}

TEST(TokenizerGoldenTest, EncodesAsTheReferenceWithLlama3Rules) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-llama3");
}

TEST(TokenizerGoldenTest, AgreesWithTheReferenceWithLlama2Rules) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-llama2");
}

TEST(TokenizerGoldenTest, AgreesWithTheReferenceWithMistralRulesAndAddedTokensOfAllKinds) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-mistral");
}

TEST(TokenizerGoldenTest, AgreesWithTheReferenceWithMarksBeforeEveryPiece) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-metaspace");
}

TEST(TokenizerGoldenTest, AgreesWithTheReferenceWithANormalizerAndAddedTokensOfAllKinds) {
  ExpectGoldens(Path(testing::kTestData) / "tokenizer/tiny-phi3");
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
