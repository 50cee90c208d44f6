// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/byte_tokenizer.h"
#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::quant {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::internal::WriteText;

/// Tokens are bytes, but for a few words.
class Calibration : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteText(folder_ / "tokenizer.json", format::CompactJson(testing::ByteTokenizerJson()));
    options_.samples = 2;
    options_.seq_len = 4;
  }

  Result<CalibrationSamples> Read() {
    return ReadCalibration(folder_.path(), *model::Tokenizer::Load(folder_.path()), source_,
                           options_);
  }

  void WriteDocuments(const std::vector<std::string>& texts) {
    std::string lines;
    for (const std::string& text : texts) {
      lines += format::CompactJson({{"text", text}}) + "\n";
    }
    source_ = folder_ / "text.jsonl";
    WriteText(source_, lines);
  }

  /// The sequences that attention sees as one.
  std::vector<std::string> Sequences() {
    const auto samples = Read();
    EXPECT_TRUE(samples.ok()) << samples.status().ToString();
    std::vector<std::string> sequences;
    for (std::size_t b = 0; samples.ok() && b < samples->batches.size(); ++b) {
      const forward::TokenBatch& batch = samples->batches[b];
      std::size_t next = 0;
      for (std::int64_t s = 0; s < batch.sequences; ++s) {
        const std::int64_t length =
            batch.lengths.empty() ? batch.length : batch.lengths[static_cast<std::size_t>(s)];
        sequences.emplace_back();
        for (std::int64_t i = 0; i < length; ++i) {
          sequences.back() += static_cast<char>(batch.ids[next++]);
        }
      }
      EXPECT_EQ(next, batch.ids.size());
    }
    return sequences;
  }

  std::string Refusal() {
    const auto samples = Read();
    EXPECT_EQ(samples.status().code(), StatusCode::kInvalidArgument);
    return samples.ok() ? "" : samples.status().message();
  }

  testing::TemporaryDirectory folder_;
  Path source_;
  domain::QuantizeOptions options_;
};

TEST_F(Calibration, IsCutAfterTheTokensThatAreNeeded) {
  source_ = folder_ / "text.txt";
  WriteText(source_, "abcdefghij");
  EXPECT_THAT(Sequences(), ElementsAre("abcd", "efgh"));
}

TEST_F(Calibration, JoinsDocumentsAndCutsLongOnesWithoutDroppingAny) {
  WriteDocuments({"ab", "cdefgh", "ij"});
  EXPECT_THAT(Sequences(), ElementsAre("abcd", "efgh"));
}

TEST_F(Calibration, IsolatedDoesNotSeeFromOneDocumentIntoAnother) {
  WriteDocuments({"ab", "cdefg", "ij"});
  options_.calibration.isolate_documents = true;
  EXPECT_THAT(Sequences(), ElementsAre("ab", "cd", "efg", "i"));
}

TEST_F(Calibration, OneByOneBeginsASequenceAtEachDocument) {
  WriteDocuments({"ab", "cdefgh", "ijklm"});
  options_.calibration.concat = false;
  EXPECT_THAT(Sequences(), ElementsAre("ab", "cdef", "gh"));
}

TEST_F(Calibration, PaddedCountsAPieceOfADocumentAsASample) {
  WriteDocuments({"ab", "cdefgh"});
  options_.calibration.concat = false;
  options_.calibration.pad = true;
  EXPECT_THAT(Sequences(), ElementsAre("ab", "cdef"));
  options_.samples = 4;
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("3 pieces"), HasSubstr("expected 4")));
}

TEST_F(Calibration, TakesDocumentsInTheOrderOfTheSeed) {
  WriteDocuments({"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff", "gggg", "iiii"});
  options_.samples = 8;
  const auto plain = Sequences();
  options_.calibration.seed = 1;
  const auto shuffled = Sequences();
  EXPECT_NE(plain, shuffled);
  EXPECT_EQ(shuffled, Sequences());
  EXPECT_TRUE(std::ranges::is_permutation(shuffled, plain));
  options_.calibration.seed = 2;
  EXPECT_NE(Sequences(), shuffled);
}

TEST_F(Calibration, WritesConversationsInTheModelsFormat) {
  WriteText(folder_ / "chat_template.jinja", "<|im_start|>{{ x }}<|im_end|>");
  source_ = folder_ / "text.jsonl";
  WriteText(source_, R"({"messages": [{"role": "user", "content": "abc"}]})");
  options_.samples = 1;
  options_.seq_len = 5;
  EXPECT_THAT(Refusal(), HasSubstr("has 3 tokens"));
  options_.calibration.chat_template = true;
  options_.seq_len = 10;
  EXPECT_THAT(Sequences(), ElementsAre("<|im_start"));
}

TEST_F(Calibration, WithoutAChatFormatIsRefusedWhenOneIsAskedFor) {
  WriteDocuments({"abcdefgh"});
  options_.calibration.chat_template = true;
  EXPECT_THAT(Read().status().message(), HasSubstr("--chat-template"));
}

TEST_F(Calibration, OfTooLittleTextIsRefusedWithBothNumbers) {
  WriteDocuments({"abc", "", "defg"});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("text.jsonl has 7 tokens in 3 documents"),
                               HasSubstr("at least 8"), HasSubstr("at most 1 samples")));
}

TEST_F(Calibration, SaysWhatItCovers) {
  WriteDocuments({"abab", "", "cdef", "more"});
  const auto samples = Read();
  ASSERT_TRUE(samples.ok()) << samples.status().ToString();
  EXPECT_EQ(samples->report.documents, 2);
  EXPECT_EQ(samples->report.documents_found, 4);
  EXPECT_EQ(samples->report.tokens, 8);
  EXPECT_EQ(samples->report.distinct_tokens, 6);
}

// Text beyond what is likely to be needed is not encoded; but it is when it turns out to be needed.
TEST_F(Calibration, OfFewTokensForItsLengthIsReadOn) {
  std::string text;
  for (int i = 0; i < 64; ++i) {
    text += "hell";  // one token
  }
  source_ = folder_ / "text.txt";
  WriteText(source_, text + "\nhell");
  options_.samples = 1;
  options_.seq_len = 66;
  EXPECT_TRUE(Read().ok());
}

TEST(CutIntoBatches, CoversEverySequenceOnce) {
  std::vector<std::int32_t> ids(3 * 2000);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i);
  }
  const std::vector<std::int64_t> lengths(3, 2000);
  const auto batches = CutIntoBatches(ids, lengths);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].sequences, 2);
  EXPECT_EQ(batches[0].length, 2000);
  EXPECT_TRUE(batches[0].lengths.empty());
  EXPECT_EQ(batches[1].ids.front(), 4000);
}

}  // namespace
}  // namespace tyllm::quant
