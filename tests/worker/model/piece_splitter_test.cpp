// SPDX-License-Identifier: Apache-2.0
#include "worker/model/piece_splitter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tyllm::model {
namespace {

using Pieces = std::vector<std::string>;

Pieces Split(const std::vector<SplitRule>& rules, std::string_view text) {
  const auto splitter = PieceSplitter::Create(rules);
  EXPECT_TRUE(splitter.ok()) << splitter.status().ToString();
  PieceSplitter::Scratch scratch(*splitter);
  Pieces pieces;
  const Status status =
      splitter->Split(text, scratch, [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return pieces;
}

TEST(PieceSplitterTest, KeepsMatchesAndWhatLiesBetween) {
  EXPECT_EQ(Split({{R"(\p{L}+)", false}}, "ab, cd!"), (Pieces{"ab", ", ", "cd", "!"}));
  EXPECT_EQ(Split({{R"(\p{L}+)", false}}, ""), Pieces{});
  EXPECT_EQ(Split({}, "whole"), Pieces{"whole"});
}

TEST(PieceSplitterTest, AppliesRulesOneAfterAnother) {
  EXPECT_EQ(Split({{R"(\p{N}{1,3})", false}, {R"(\p{L}+)", false}}, "ab1234 c"),
            (Pieces{"ab", "123", "4", " ", "c"}));
}

TEST(PieceSplitterTest, TakesLiteralPatternsAsText) {
  EXPECT_EQ(Split({{".+", true}}, "a.+b"), (Pieces{"a", ".+", "b"}));
}

TEST(PieceSplitterTest, AnEmptyMatchCutsNothing) {
  EXPECT_EQ(Split({{"x*", false}}, "a\u00e9xxb"), (Pieces{"a\u00e9", "xx", "b"}));
}

TEST(PieceSplitterTest, CountsNoMongolianVowelSeparatorAsSpace) {
  EXPECT_EQ(Split({{R"(\s+)", false}}, " \u180e\u2003"), (Pieces{" ", "\u180e", "\u2003"}));
  EXPECT_EQ(Split({{R"(\S+)", false}}, " \u180e\u2003"), (Pieces{" ", "\u180e", "\u2003"}));
  EXPECT_EQ(Split({{R"([^\s]+)", false}}, " \u180e\u2003"), (Pieces{" ", "\u180e", "\u2003"}));
}

TEST(PieceSplitterTest, RefusesPatternsThatItDoesNotUnderstand) {
  for (const char* pattern : {"(", "[a", "", "\\C", "(?<n>a)(?<n>b)"}) {
    const std::vector<SplitRule> rules = {{pattern, false}};
    EXPECT_FALSE(PieceSplitter::Create(rules).ok()) << pattern;
  }
}

}  // namespace
}  // namespace tyllm::model
