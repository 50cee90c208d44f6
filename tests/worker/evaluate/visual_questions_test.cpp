// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/visual_questions.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/paths.h"
#include "tests/support/seeing_model.h"
#include "tests/support/temporary_directory.h"
#include "worker/evaluate/evaluate.h"
#include "worker/evaluate/visual_choice.h"

namespace tyllm::evaluate {
namespace {

std::string Text(const std::vector<std::uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST(Base64, IsReadWithAndWithoutPadding) {
  EXPECT_EQ(Text(*DecodeBase64("aGVsbG8=")), "hello");
  EXPECT_EQ(Text(*DecodeBase64("aGVsbG8")), "hello");
  EXPECT_EQ(Text(*DecodeBase64("aGVsbG8h")), "hello!");
  EXPECT_TRUE(DecodeBase64("")->empty());
  EXPECT_FALSE(DecodeBase64("a").has_value());
  EXPECT_FALSE(DecodeBase64("a-b_").has_value());
}

TEST(VisualQuestions, FieldsInQuotesHoldTabsQuotesAndLines) {
  const auto questions = ParseVisualQuestions(
      "index\tquestion\tA\tB\tanswer\tcategory\timage\r\n"
      "0\t\"Which\tis \"\"it\"\"?\nLook.\"\tred\tblue\tB\tcolour\ta.png\r\n"
      "\n"
      "1\tAnd now? A: x B: y C: z D: w\t\t\tD\t\tsub/b.png\n",
      "/data", "q.tsv", 0);
  ASSERT_TRUE(questions.ok()) << questions.status().ToString();
  ASSERT_EQ(questions->size(), 2U);
  const VisualQuestion& first = (*questions)[0];
  EXPECT_EQ(first.text, "Which\tis \"it\"?\nLook.");
  EXPECT_EQ(first.choices, (std::vector<std::string>{"red", "blue"}));
  EXPECT_EQ(first.answer, 1);
  EXPECT_EQ(first.category, "colour");
  EXPECT_EQ(first.image_file, "/data/a.png");
  EXPECT_TRUE((*questions)[1].choices.empty());
  EXPECT_EQ((*questions)[1].answer, 3);
  EXPECT_EQ((*questions)[1].line, 5);
}

TEST(VisualQuestions, BadFilesAreErrorsThatNameTheLine) {
  const std::string head = "question\tA\tB\tanswer\timage\n";
  for (const std::string& line : {std::string("q\tx\ty\tC\ta.png"), std::string("q\tx\ty\t\ta.png"),
                                  std::string("\tx\ty\tA\ta.png"), std::string("q\tx\ty\tA"),
                                  std::string("q\tx\ty\tA\t../a.png"), std::string("q\tx\ty\tA\t"),
                                  "q\tx\ty\tA\t" + std::string(300, '!')}) {
    const auto questions = ParseVisualQuestions(head + line + "\n", "/d", "q.tsv", 0);
    ASSERT_FALSE(questions.ok()) << line;
    EXPECT_NE(questions.status().message().find("q.tsv, line 2"), std::string::npos)
        << questions.status().message();
  }
  EXPECT_FALSE(ParseVisualQuestions("a\tb\n1\t2\n", "/d", "q.tsv", 0).ok());
  EXPECT_FALSE(ParseVisualQuestions(head, "/d", "q.tsv", 0).ok());
}

/// The same picture as a file and in base64 must be answered alike, and a model agrees with itself.
TEST(VisualChoices, AModelIsScoredByCategoryAndAgainstItsReference) {
  const tyllm::testing::TemporaryDirectory folder;
  tyllm::testing::MakeSeeingModel("tiny-qwen3-vl", folder / "model");
  const Path image = Path(tyllm::testing::kTestData) / "goldens/tiny-qwen3-vl/image.png";
  std::filesystem::copy_file(image, folder / "a.png");
  std::ofstream(folder / "q.tsv") << "question\tA\tB\tC\tanswer\tcategory\timage\n"
                                     "What is it?\ta\tb\tc\tA\tx\ta.png\n"
                                     "What is it?\ta\tb\tc\tB\tx\ta.png\n"
                                     "What is it?\ta\tb\tc\tC\ty\ta.png\n";
  domain::NoProgress progress;
  const auto report = EvaluateVisualChoices({.model = folder / "model",
                                             .reference = folder / "model",
                                             .questions = folder / "q.tsv",
                                             .device = "cpu"},
                                            progress);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->model.all.questions, 3);
  EXPECT_EQ(report->model.all.right, 1);  // one question, three right answers
  ASSERT_EQ(report->model.categories.size(), 2U);
  EXPECT_EQ(report->model.categories[0].questions, 2);
  EXPECT_EQ(*report->agreement, 1.0);
  EXPECT_EQ(report->reference->all.right, 1);
  EXPECT_NE(ReportText(*report).find("answered alike"), std::string::npos);
}

/// A model that sees, and one question about its picture.
class OneVisualQuestion : public ::testing::Test {
 protected:
  void SetUp() override {
    tyllm::testing::MakeSeeingModel("tiny-qwen2-vl", model_);
    const Path golden = Path(tyllm::testing::kTestData) / "goldens" / "tiny-qwen2-vl";
    std::filesystem::copy_file(golden / "image.png", folder_ / "a.png");
    std::ofstream(folder_ / "q.tsv") << "question\tA\tB\tanswer\timage\nWhat?\ta\tb\tA\ta.png\n";
  }

  Status Ask() {
    domain::NoProgress progress;
    return EvaluateVisualChoices(
               {.model = model_, .reference = {}, .questions = folder_ / "q.tsv", .device = "cpu"},
               progress)
        .status();
  }

  tyllm::testing::TemporaryDirectory folder_;
  Path model_ = folder_ / "model";
};

TEST_F(OneVisualQuestion, LettersThatAreNotInTheVocabularyAreRefused) {
  auto tokenizer = *format::ReadJsonFile(model_ / "tokenizer.json");
  tokenizer["model"]["vocab"]["B"] = 70000;
  std::ofstream(model_ / "tokenizer.json") << tokenizer;
  const Status status = Ask();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("letter B"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("has id 70000"), std::string::npos) << status.message();
}

TEST_F(OneVisualQuestion, LogitsThatAreNotNumbersAreDamage) {
  std::string weights = *LocalFileSystem().Read(model_ / "model.safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, weights.data(), sizeof(header));
  const auto json = format::Json::parse(weights.substr(sizeof(header), header));
  const std::size_t at = json["model.norm.weight"]["data_offsets"][0].get<std::size_t>();
  weights.replace(sizeof(header) + header + at, 4, "\xff\xff\xff\x7f");  // NaN of any float type
  std::filesystem::remove(model_ / "model.safetensors");
  std::ofstream(model_ / "model.safetensors", std::ios::binary) << weights;
  const Status status = Ask();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.message();
  EXPECT_NE(status.message().find("line 2"), std::string::npos) << status.message();
}

TEST_F(OneVisualQuestion, MediaThatCannotBeReadAreFoundBeforeAnythingIsMeasured) {
  std::ofstream(folder_ / "bad.png") << "no image";
  domain::NoProgress progress;
  const auto report = Evaluate({.model = model_,
                                .text = folder_ / "q.tsv",
                                .options = {.window = 8, .prompts = {"What?"}, .max_tokens = 2},
                                .media = {{folder_ / "bad.png"}},
                                .device = "cpu"},
                               LocalFileSystem(), SystemClock(), progress);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.status().message().find("prompt 1"), std::string::npos)
      << report.status().message();
}

TEST(VisualChoices, AnImageThatIsNotThereNamesTheLine) {
  const tyllm::testing::TemporaryDirectory folder;
  tyllm::testing::MakeSeeingModel("tiny-qwen2-vl", folder / "model");
  std::ofstream(folder / "q.tsv") << "question\tanswer\timage\nWhat?\tA\tno.png\n";
  domain::NoProgress progress;
  const auto report = EvaluateVisualChoices(
      {.model = folder / "model", .reference = {}, .questions = folder / "q.tsv", .device = "cpu"},
      progress);
  EXPECT_EQ(report.status().code(), StatusCode::kNotFound);
  EXPECT_NE(report.status().message().find("line 2"), std::string::npos);
}

TEST(VisualQuestions, AFolderMustHaveOneFile) {
  const tyllm::testing::TemporaryDirectory folder;
  EXPECT_EQ(LoadVisualQuestions(folder.path(), 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(LoadVisualQuestions(folder / "no.tsv", 0).status().code(), StatusCode::kNotFound);
  std::ofstream(folder / "q.tsv") << "question\tanswer\timage\na\tA\tx.png\nb\tB\tx.png\n";
  EXPECT_EQ(LoadVisualQuestions(folder.path(), 0)->size(), 2U);
  EXPECT_EQ(LoadVisualQuestions(folder.path(), 1)->size(), 1U);
}

}  // namespace
}  // namespace tyllm::evaluate
