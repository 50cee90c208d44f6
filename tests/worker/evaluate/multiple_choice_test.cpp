// SPDX-License-Identifier: Apache-2.0
// Questions from file to report, on the example model.
#include "worker/evaluate/multiple_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "worker/evaluate/evaluate.h"

namespace tyllm::evaluate {
namespace {

const Path kDemo = Path(testing::kSourceFolder) / "examples" / "models" / "demo-qwen3-4m";
const Path kQuestions = Path(testing::kTestData) / "questions";

Result<Report> EvaluateWith(const Request& request) {
  domain::NoProgress progress;
  return Evaluate(request, LocalFileSystem(), SystemClock(), progress);
}

QuestionSet TwoSubjects() {
  QuestionSet set;
  set.subjects = {{.name = "a", .file = {}, .questions = {{}, {}, {}}, .examples = {}},
                  {.name = "b", .file = {}, .questions = {{}}, .examples = {}}};
  return set;  // every right answer is the first
}

TEST(MultipleChoice, AccuraciesAndErrorsAreThoseOfTheAnswers) {
  const ChoiceReport report =
      ReportOf(TwoSubjects(), {Answers{.picked = {0, 2, -1, 0}}, Answers{.picked = {0, 0, 0, 1}}});
  EXPECT_EQ(report.model.correct, 2);
  EXPECT_EQ(report.model.unanswered, 1);
  EXPECT_DOUBLE_EQ(report.model.accuracy, 0.5);
  EXPECT_DOUBLE_EQ(report.model.standard_error, std::sqrt(0.25 / 3.0));
  EXPECT_DOUBLE_EQ(report.model.subject_mean, (1.0 / 3.0 + 1.0) / 2.0);
  EXPECT_DOUBLE_EQ(report.reference->accuracy, 0.75);
  EXPECT_DOUBLE_EQ(*report.accuracy_drop, 0.25);
  EXPECT_DOUBLE_EQ(*report.same_answers, 0.25);
  EXPECT_EQ(report.subjects.at("a").questions, 3);
  EXPECT_DOUBLE_EQ(report.subjects.at("a").accuracy, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(*report.subjects.at("a").reference_accuracy, 1.0);
  EXPECT_EQ(report.subjects.at("b").standard_error, 0.0) << "one question has no spread";
}

/// The letters' log-probabilities, computed one text at a time from the shots and the question, and
/// what the report says of the same questions.
TEST(MultipleChoice, TheReportHoldsWhatTheModelThinksOfEachLetter) {
  const testing::TemporaryDirectory directory;
  const auto report = EvaluateWith({.model = kDemo,
                                    .questions = kQuestions,
                                    .options = {.shots = 3},
                                    .device = "cpu",
                                    .out = directory / "out"});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_FALSE(report->text.has_value());
  EXPECT_FALSE(report->model.perplexity.has_value());
  EXPECT_EQ(report->questions->questions, 19);
  EXPECT_EQ(report->questions->subjects, 3);
  EXPECT_EQ(report->questions->shortened, 0);

  const auto set = *LoadQuestions(LocalFileSystem(), kQuestions, 3, 0);
  const auto model = *forward::OpenModel(kDemo);
  const auto tokenizer = *model::Tokenizer::Load(kDemo);
  const auto backend = *tensor::MakeBackend("cpu", 1);
  std::ifstream lines(directory / "out" / kAnswersFile);
  std::int64_t correct = 0;
  for (const Subject& subject : set.subjects) {
    for (const Question& question : subject.questions) {
      const LetterScoring scoring = *ScoreLetters(tokenizer, PromptOf(subject, question, 3));
      const auto alone = *LogLikelihoods(model, *backend, scoring.texts, [](std::int64_t) {});
      std::string line;
      ASSERT_TRUE(std::getline(lines, line));
      const format::Json json = format::Json::parse(line);
      EXPECT_EQ(json["subject"], subject.name);
      EXPECT_EQ(json["line"], question.line);
      std::size_t best = 0;
      for (std::size_t choice = 0; choice < 4; ++choice) {
        const double stored = json["model"]["log_likelihoods"][choice].get<double>();
        EXPECT_NEAR(stored, alone[0][choice], 2e-4) << subject.name << " " << question.line;
        best = stored > json["model"]["log_likelihoods"][best].get<double>() ? choice : best;
      }
      EXPECT_EQ(json["model"]["answer"], std::string(1, LetterOf(static_cast<int>(best))));
      correct += static_cast<std::int64_t>(best) == question.answer ? 1 : 0;
    }
  }
  EXPECT_EQ(report->choice->model.correct, correct);
  EXPECT_DOUBLE_EQ(report->choice->model.accuracy, static_cast<double>(correct) / 19.0);
}

TEST(MultipleChoice, AModelIsComparedWithItsReferenceInBothWaysOfAnswering) {
  const auto report =
      EvaluateWith({.model = kDemo,
                    .reference = kDemo,
                    .questions = kQuestions,
                    .options = {.max_questions = 2,
                                .answers = domain::AnswerMode::kBoth,
                                .answer_tokens = 4,
                                .fail_if = {"choice.accuracy_drop>0", "generated.same_answers<1",
                                            "choice.subjects.small_arithmetic."
                                            "accuracy>=0"}},
                    .device = "cpu"});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->questions->questions, 6);
  EXPECT_EQ(report->choice->accuracy_drop, 0.0);
  EXPECT_EQ(report->choice->same_answers, 1.0);
  EXPECT_EQ(report->generated->same_answers, 1.0);
  ASSERT_EQ(report->conditions.size(), 3U);
  EXPECT_FALSE(report->conditions[0].holds);
  EXPECT_FALSE(report->conditions[1].holds);
  EXPECT_TRUE(report->conditions[2].holds);
}

TEST(MultipleChoice, QuestionsWithoutRoomForAllExamplesAreAskedWithFewer) {
  const testing::TemporaryDirectory directory;
  std::filesystem::copy(kDemo, directory / "short");
  std::string config = *LocalFileSystem().Read(directory / "short" / "config.json");
  format::Json json = format::Json::parse(config);
  json["max_position_embeddings"] = 160;
  std::ofstream(directory / "short" / "config.json", std::ios::trunc) << json;
  const auto report = EvaluateWith({.model = directory / "short",
                                    .questions = kQuestions,
                                    .options = {.shots = 5, .max_questions = 2},
                                    .device = "cpu"});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->questions->shots, 5);
  EXPECT_GT(report->questions->shortened, 0);
}

TEST(MultipleChoice, LettersThatAreNotInTheVocabularyAreRefusedBeforeAnyWork) {
  const testing::TemporaryDirectory directory;
  std::filesystem::copy(kDemo, directory / "other");
  auto tokenizer = *format::ReadJsonFile(directory / "other" / "tokenizer.json");
  auto& vocabulary = tokenizer["model"]["vocab"];
  const std::string letter = "\u0120C";  // " C"
  ASSERT_TRUE(vocabulary.contains(letter));
  vocabulary[letter] = 70000;
  std::ofstream(directory / "other" / "tokenizer.json", std::ios::trunc) << tokenizer;
  const auto report = EvaluateWith({.model = directory / "other",
                                    .questions = kQuestions,
                                    .options = {.max_questions = 1},
                                    .device = "cpu",
                                    .out = directory / "out"});
  EXPECT_EQ(report.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(report.status().message().find("has id 70000"), std::string::npos)
      << report.status().message();
}

TEST(MultipleChoice, AQuestionThatNeverFitsIsNamed) {
  const testing::TemporaryDirectory directory;
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += "word ";
  }
  std::ofstream(directory / "long_test.csv") << "q,1,2,3,4,A\n" << text << ",1,2,3,4,A\n";
  const auto report = EvaluateWith({.model = kDemo,
                                    .questions = directory / "long_test.csv",
                                    .options = {},
                                    .device = "cpu",
                                    .out = directory / "out"});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(report.status().message().find("long_test.csv line 2"), std::string::npos)
      << report.status().message();
  EXPECT_FALSE(std::filesystem::exists(directory / "out"));
}

TEST(Samples, TextsOfAModelAndItsReferenceStandSideBySide) {
  const testing::TemporaryDirectory directory;
  std::filesystem::copy(kDemo, directory / "other");
  std::string config = *LocalFileSystem().Read(directory / "other" / "config.json");
  const std::string base = "1000000.0";  // of the rotary frequencies
  ASSERT_NE(config.find(base), std::string::npos);
  config.replace(config.find(base), base.size(), "3000.0");
  std::ofstream(directory / "other" / "config.json", std::ios::trunc) << config;
  const auto report =
      EvaluateWith({.model = directory / "other",
                    .reference = kDemo,
                    .options = {.prompts = {"The river is", "In the year"}, .max_tokens = 24},
                    .device = "cpu"});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  ASSERT_EQ(report->samples.size(), 2U);
  const Sample& sample = report->samples[0];
  EXPECT_EQ(sample.prompt, "The river is");
  EXPECT_FALSE(sample.reference->text.empty());
  ASSERT_TRUE(sample.same_tokens.has_value());
  const auto same = static_cast<std::size_t>(*sample.same_tokens);
  EXPECT_LT(same, sample.model.token_ids.size()) << "another rope base must tell";
  for (std::size_t i = 0; i < same; ++i) {
    EXPECT_EQ(sample.model.token_ids[i], sample.reference->token_ids[i]);
  }
}

}  // namespace
}  // namespace tyllm::evaluate
