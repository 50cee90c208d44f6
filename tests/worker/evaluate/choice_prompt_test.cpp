// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/choice_prompt.h"

#include <gtest/gtest.h>

#include "tests/support/byte_tokenizer.h"
#include "tests/support/paths.h"

namespace tyllm::evaluate {
namespace {

Subject Geography() {
  return {.name = "world_geography",
          .file = "world_geography_test.csv",
          .questions = {{"Where?", {"here", "there", "up", "down"}, 1, 1}},
          .examples = {{"One?", {"a", "b", "c", "d"}, 3, 1}, {"Two?", {"e", "f", "g", "h"}, 0, 2}}};
}

TEST(ChoicePrompt, IsWrittenAsTheQuestionsOwnEvaluationWritesIt) {
  const Subject subject = Geography();
  EXPECT_EQ(PromptOf(subject, subject.questions[0], 0),
            "The following are multiple choice questions (with answers) about world geography.\n\n"
            "Where?\nA. here\nB. there\nC. up\nD. down\nAnswer:");
  EXPECT_EQ(PromptOf(subject, subject.questions[0], 1),
            "The following are multiple choice questions (with answers) about world geography.\n\n"
            "One?\nA. a\nB. b\nC. c\nD. d\nAnswer: D\n\n"
            "Where?\nA. here\nB. there\nC. up\nD. down\nAnswer:");
}

TEST(ChoicePrompt, FindsTheLetterOfAnAnswerInText) {
  struct Case {
    const char* text;
    char letter;
  };

  const std::vector<Case> cases = {
      {" B", 'B'},
      {"C. Because it is", 'C'},
      {"(D)", 'D'},
      {"**A**", 'A'},
      {"A", 'A'},
      {"The answer is (B), not C.", 'B'},
      {"Answer: D", 'D'},
      {"A is wrong and B too. The correct answer is **C**.", 'C'},
      {"I first thought the answer is A. But the answer is the option D", 'D'},
      {"A river flows there, so B", 'B'},
      {"<think>A or B? The answer is A.</think>\nC", 'C'},
      {"ANSWER: B", 'B'},
      {"Apples and Dogs", '-'},
      {"I cannot say.", '-'},
      {"", '-'},
      {"1A or D'oh", '-'},
      {"answer", '-'},
  };
  for (const Case& c : cases) {
    const std::int64_t choice = ChoiceIn(c.text);
    EXPECT_EQ(choice < 0 ? '-' : LetterOf(choice), c.letter) << c.text;
  }
}

TEST(ScoreLetters, LettersThatAreOneTokenShareOneText) {
  const auto tokenizer = *model::Tokenizer::Load(Path(testing::kSourceFolder) / "examples" /
                                                 "models" / "demo-qwen3-4m");
  const auto scoring = ScoreLetters(tokenizer, "Two?\nAnswer:");
  ASSERT_TRUE(scoring.ok());
  ASSERT_EQ(scoring->texts.size(), 1U);
  const ScoredText& text = scoring->texts[0];
  EXPECT_EQ(text.targets.size(), 4U);
  for (std::size_t choice = 0; choice < 4; ++choice) {
    ASSERT_EQ(scoring->parts[choice].size(), 1U);
    const ScoredText::Target target = text.targets[scoring->parts[choice][0].second];
    EXPECT_EQ(target.row, static_cast<std::int64_t>(text.ids.size()) - 1);
    std::vector<model::TokenId> whole = text.ids;
    whole.push_back(target.token);
    EXPECT_EQ(tokenizer.Decode(whole),
              std::string("Two?\nAnswer: ") + LetterOf(static_cast<int>(choice)));
  }
}

/// A tokenizer that has " A" as one token and spells the other letters in two.
TEST(ScoreLetters, LettersOfDifferentLengthAreScoredInTheirOwnTexts) {
  format::Json json = testing::ByteTokenizerJson();
  const std::string space = model::StandInOf(' ');
  json["model"]["vocab"][space + "A"] = 262;
  json["model"]["merges"].push_back(space + " A");
  const auto tokenizer = model::Tokenizer::Parse(format::CompactJson(json), "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  const auto scoring = ScoreLetters(*tokenizer, "x:");
  ASSERT_TRUE(scoring.ok());
  ASSERT_EQ(scoring->texts.size(), 2U);
  EXPECT_EQ(scoring->texts[0].ids, (std::vector<std::int32_t>{'x', ':'}));
  EXPECT_EQ(scoring->texts[1].ids, (std::vector<std::int32_t>{'x', ':', ' '}));
  EXPECT_EQ(scoring->parts[0].size(), 1U);
  for (std::size_t choice = 1; choice < 4; ++choice) {
    ASSERT_EQ(scoring->parts[choice].size(), 2U);
    const auto& targets = scoring->texts[1].targets;
    EXPECT_EQ(targets[scoring->parts[choice][0].second].row, 1);
    EXPECT_EQ(targets[scoring->parts[choice][0].second].token, ' ');
    EXPECT_EQ(targets[scoring->parts[choice][1].second].row, 2);
    EXPECT_EQ(targets[scoring->parts[choice][1].second].token, 'A' + static_cast<int>(choice));
  }
}

}  // namespace
}  // namespace tyllm::evaluate
