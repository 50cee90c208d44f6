// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::quant {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::internal::WriteText;

constexpr std::size_t kAll = std::string::npos;

class CalibrationSource : public ::testing::Test {
 protected:
  std::vector<std::string> Texts(const Path& source, const std::string& column = "") {
    std::vector<std::string> texts;
    const auto documents = CalibrationDocuments::Open(source, column);
    EXPECT_TRUE(documents.ok()) << documents.status().ToString();
    for (std::int64_t i = 0; documents.ok() && i < documents->size(); ++i) {
      const auto document = documents->Read(i, kAll);
      EXPECT_TRUE(document.ok()) << document.status().ToString();
      texts.push_back(document.ok() ? document->text : "");
    }
    return texts;
  }

  /// Of opening, or of reading the last document.
  std::string Refusal(const Path& source, const std::string& column = "") {
    const auto documents = CalibrationDocuments::Open(source, column);
    if (!documents.ok()) {
      return documents.status().message();
    }
    const auto document = documents->Read(documents->size() - 1, kAll);
    EXPECT_FALSE(document.ok());
    return document.ok() ? "" : document.status().message();
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(CalibrationSource, OfPlainTextIsOneDocument) {
  WriteText(folder_ / "a.txt", "one\n\ntwo\n");
  EXPECT_THAT(Texts(folder_ / "a.txt"), ElementsAre("one\n\ntwo\n"));
}

TEST_F(CalibrationSource, OfPlainTextIsCutAtTheEndOfALine) {
  WriteText(folder_ / "a.txt", "one\ntwo\nthree\n");
  const auto documents = CalibrationDocuments::Open(folder_ / "a.txt", "");
  const auto document = documents->Read(0, 5);
  EXPECT_EQ(document->text, "one\ntwo\n");
  EXPECT_TRUE(document->is_cut);
  EXPECT_FALSE(documents->Read(0, 100)->is_cut);
}

TEST_F(CalibrationSource, OfJsonLinesHasADocumentALine) {
  WriteText(folder_ / "a.jsonl",
            "{\"text\": \"one\"}\n\n  \n{\"id\": 3, \"text\": \"two\\nlines\"}");
  EXPECT_THAT(Texts(folder_ / "a.jsonl"), ElementsAre("one", "two\nlines"));
}

TEST_F(CalibrationSource, TakesTheColumnThatIsNamed) {
  WriteText(folder_ / "a.jsonl", "{\"text\": \"no\", \"body\": \"yes\"}\n");
  EXPECT_THAT(Texts(folder_ / "a.jsonl", "body"), ElementsAre("yes"));
}

TEST_F(CalibrationSource, ReadsConversationsOfBothKinds) {
  WriteText(
      folder_ / "a.jsonl",
      R"({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content":)"
      R"( [{"type": "text", "text": "hello"}]}]})"
      "\n"
      R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]})");
  const auto documents = CalibrationDocuments::Open(folder_ / "a.jsonl", "");
  const auto first = documents->Read(0, kAll);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  ASSERT_EQ(first->messages.size(), 2U);
  EXPECT_EQ(first->messages[1].role, "assistant");
  EXPECT_EQ(first->messages[1].content, "hello");
  const auto second = documents->Read(1, kAll);
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->messages[0].role, "user");
  EXPECT_EQ(second->messages[1].content, "a");
}

TEST_F(CalibrationSource, OfAFolderIsEverythingBelowItByName) {
  std::filesystem::create_directories(folder_ / "texts/more");
  std::filesystem::create_directories(folder_ / "texts/.git");
  WriteText(folder_ / "texts/more/c.md", "three");
  WriteText(folder_ / "texts/b.jsonl", "{\"text\": \"two\"}\n");
  WriteText(folder_ / "texts/a.txt", "one");
  WriteText(folder_ / "texts/picture.png", "no text");
  WriteText(folder_ / "texts/.git/d.txt", "hidden");
  EXPECT_THAT(Texts(folder_ / "texts"), ElementsAre("one", "two", "three"));
}

TEST_F(CalibrationSource, WithoutAnyTextIsRefused) {
  std::filesystem::create_directories(folder_ / "texts");
  EXPECT_THAT(Refusal(folder_ / "texts"), AllOf(HasSubstr("texts"), HasSubstr(".jsonl")));
  EXPECT_THAT(Refusal(folder_ / "none.txt"), HasSubstr("none.txt"));
}

TEST_F(CalibrationSource, OfParquetSaysWhatToDo) {
  WriteText(folder_ / "a.parquet", "PAR1....PAR1");
  EXPECT_THAT(Refusal(folder_ / "a.parquet"),
              AllOf(HasSubstr("a.parquet"), HasSubstr("JSON lines")));
  WriteText(folder_ / "a.jsonl", std::string("\x1f\x8b\x08", 3));
  EXPECT_THAT(Refusal(folder_ / "a.jsonl"), HasSubstr("gzip"));
}

TEST_F(CalibrationSource, NamesTheLineAndWhatWasFoundInIt) {
  const auto refused = [&](const std::string& line, const std::string& column = "") {
    WriteText(folder_ / "a.jsonl", "{\"text\": \"fine\"}\n" + line);
    const std::string message = Refusal(folder_ / "a.jsonl", column);
    EXPECT_THAT(message, HasSubstr("a.jsonl:2")) << line;
    return message;
  };
  EXPECT_THAT(refused("{\"title\": \"x\", \"id\": 1}"),
              AllOf(HasSubstr("title, id"), HasSubstr("--calibration-column")));
  EXPECT_THAT(refused("{\"title\": \"x\"}", "body"), HasSubstr("'body'"));
  EXPECT_THAT(refused("{\"text\": 7}"), HasSubstr("number"));
  EXPECT_THAT(refused("[\"text\"]"), HasSubstr("array"));
  EXPECT_THAT(refused("{\"messages\": [{\"who\": \"me\"}]}"), HasSubstr("role and content"));
  refused("{\"text\": \"unfinished");
}

}  // namespace
}  // namespace tyllm::quant
