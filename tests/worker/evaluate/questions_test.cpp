// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/questions.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::evaluate {
namespace {

const Path kQuestions = Path(testing::kTestData) / "questions";

Result<QuestionSet> Load(const Path& path, std::int64_t shots = 0, std::int64_t most = 0) {
  return LoadQuestions(LocalFileSystem(), path, shots, most);
}

TEST(Questions, AFolderHasItsSubjectsInOrderWithTheirExamples) {
  const auto set = Load(kQuestions, 5);
  ASSERT_TRUE(set.ok()) << set.status().ToString();
  ASSERT_EQ(set->subjects.size(), 3U);
  EXPECT_EQ(set->name, "questions");
  EXPECT_EQ(set->size(), 19);
  EXPECT_EQ(set->subjects[0].name, "everyday_science");
  EXPECT_EQ(set->subjects[1].name, "small_arithmetic");
  EXPECT_EQ(set->subjects[2].name, "world_geography");
  EXPECT_EQ(set->subjects[1].examples.size(), 5U);
  const Question& question = set->subjects[0].questions[5];
  EXPECT_EQ(question.text, "A teacher asks:\n\"Why is the sky blue?\"\nWhich answer is right?");
  EXPECT_EQ(question.choices[2], "Air is painted, they say");
  EXPECT_EQ(question.answer, 0);
  EXPECT_EQ(question.line, 6);
}

TEST(Questions, AFileIsOneSubjectAndFindsItsExamples) {
  const auto set = Load(kQuestions / "test" / "world_geography_test.csv", 2, 4);
  ASSERT_TRUE(set.ok()) << set.status().ToString();
  ASSERT_EQ(set->subjects.size(), 1U);
  EXPECT_EQ(set->subjects[0].name, "world_geography");
  EXPECT_EQ(set->size(), 4);
  EXPECT_EQ(set->subjects[0].examples.size(), 2U);
}

TEST(Questions, ADigestFollowsWhatWasRead) {
  EXPECT_EQ((*Load(kQuestions)).sha256, (*Load(kQuestions / "test")).sha256);
  EXPECT_NE((*Load(kQuestions)).sha256, (*Load(kQuestions, 1)).sha256);
}

TEST(Questions, AHeadingIsLeftOut) {
  const auto questions = ParseQuestions("question,A,B,C,D,answer\nq,1,2,3,4,D\n", "f");
  ASSERT_TRUE(questions.ok());
  ASSERT_EQ(questions->size(), 1U);
  EXPECT_EQ(questions->front().answer, 3);
}

TEST(Questions, WhatIsWrongIsNamedWithFileLineAndWhatWasExpected) {
  struct Case {
    const char* text;
    std::vector<std::string> says;
  };

  const std::vector<Case> cases = {
      {"", {"f.csv", "no questions"}},
      {"question,A,B,C,D,answer\n", {"f.csv", "no questions"}},
      {"q,1,2,3,4,A\nq,1,2,3,B\n", {"f.csv line 2", "5 fields", "expected 6"}},
      {"q,1,2,3,4,5,A\n", {"f.csv line 1", "7 fields"}},
      {"q,1,2,3,4,E\n", {"line 1", "'E'", "A, B, C or D"}},
      {"q,1,2,3,4,\n", {"line 1", "''"}},
      {"q,1,2,3,4,AB\n", {"line 1", "'AB'"}},
  };
  for (const Case& c : cases) {
    const auto questions = ParseQuestions(c.text, "f.csv");
    ASSERT_FALSE(questions.ok()) << c.text;
    EXPECT_EQ(questions.status().code(), StatusCode::kInvalidArgument);
    for (const std::string& word : c.says) {
      EXPECT_NE(questions.status().message().find(word), std::string::npos)
          << questions.status().message();
    }
  }
}

TEST(Questions, WhatIsMissingIsNamed) {
  const testing::TemporaryDirectory directory;
  EXPECT_EQ(Load(directory / "nowhere.csv").status().code(), StatusCode::kNotFound);
  const auto empty = Load(directory.path());
  EXPECT_EQ(empty.status().code(), StatusCode::kNotFound);
  EXPECT_NE(empty.status().message().find(directory.path().string()), std::string::npos);
  std::ofstream(directory / "music_test.csv") << "q,1,2,3,4,A\n";
  EXPECT_TRUE(Load(directory.path()).ok());
  const auto no_examples = Load(directory.path(), 3);
  EXPECT_EQ(no_examples.status().code(), StatusCode::kNotFound);
  EXPECT_NE(no_examples.status().message().find("music_dev.csv"), std::string::npos);
  std::ofstream(directory / "music_dev.csv") << "q,1,2,3,4,A\n";
  const auto too_few = Load(directory.path(), 3);
  EXPECT_EQ(too_few.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(too_few.status().message().find("1 examples"), std::string::npos);
  EXPECT_EQ((*Load(directory.path(), 1)).size(), 1);
  std::ofstream(directory / "music_val.csv") << "q,1,2,3,4,A\n";
  EXPECT_EQ(Load(directory.path()).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::evaluate
