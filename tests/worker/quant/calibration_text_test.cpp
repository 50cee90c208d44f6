// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"

namespace tyllm::quant {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::internal::WriteText;

class CalibrationText : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteText(folder_ / "tokenizer.json", format::CompactJson(testing::ByteTokenizerJson()));
  }

  Result<std::vector<std::int32_t>> Read(const std::string& text, std::int64_t samples,
                                         std::int64_t seq_len) {
    WriteText(folder_ / "text.txt", text);
    return ReadCalibrationTokens(*model::Tokenizer::Load(folder_.path()), folder_ / "text.txt",
                                 samples, seq_len);
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(CalibrationText, IsCutAfterTheTokensThatAreNeeded) {
  const auto tokens = Read("abcdefg", 2, 2);
  ASSERT_TRUE(tokens.ok()) << tokens.status().ToString();
  EXPECT_THAT(*tokens, ElementsAre('a', 'b', 'c', 'd'));
}

TEST_F(CalibrationText, ThatIsTooShortIsRefusedWithBothNumbers) {
  const auto tokens = Read("abcdefg", 4, 2);
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(tokens.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(tokens.status().message(),
              AllOf(HasSubstr("text.txt has 7 tokens"), HasSubstr("at least 8"),
                    HasSubstr("at most 3 samples")));
}

TEST_F(CalibrationText, ThatIsMissingIsNamed) {
  const auto tokens =
      ReadCalibrationTokens(*model::Tokenizer::Load(folder_.path()), folder_ / "none.txt", 1, 1);
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(tokens.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(tokens.status().message(), HasSubstr("none.txt"));
}

// Text beyond what is likely to be needed is not encoded; but it is when it turns out to be needed.
TEST_F(CalibrationText, OfFewTokensForItsLengthIsReadOn) {
  std::string text;
  for (int i = 0; i < 64; ++i) {
    text += "hell";  // one token
  }
  const auto tokens = Read(text + "\nhell", 1, 3);
  ASSERT_TRUE(tokens.ok()) << tokens.status().ToString();
  EXPECT_THAT(*tokens, ElementsAre(258, 258, 258));
}

TEST(CutIntoBatches, CoversEveryWindowOnce) {
  std::vector<std::int32_t> tokens(3 * 2000);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::int32_t>(i);
  }
  const auto batches = CutIntoBatches(tokens, 2000);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].sequences, 2);
  EXPECT_EQ(batches[1].sequences, 1);
  EXPECT_EQ(batches[1].ids.front(), 4000);
}

}  // namespace
}  // namespace tyllm::quant
