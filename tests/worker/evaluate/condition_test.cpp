// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/condition.h"

#include <gtest/gtest.h>

namespace tyllm::evaluate {
namespace {

Report Compared() {
  Report report;
  report.model.perplexity = 21.0;
  report.reference.emplace().perplexity = 20.0;
  report.perplexity_increase = 0.05;
  report.top1_agreement = 0.9;
  return report;
}

bool Holds(std::string_view text) {
  return *(*Condition::Parse(text)).HoldsOf(Compared());
}

TEST(Condition, ComparesAFigureWithABound) {
  EXPECT_TRUE(Holds("perplexity_increase>0.04"));
  EXPECT_FALSE(Holds("perplexity_increase>0.05"));
  EXPECT_TRUE(Holds("perplexity_increase >= 0.05"));
  EXPECT_TRUE(Holds(" top1_agreement < 0.95 "));
  EXPECT_FALSE(Holds("top1_agreement<=8e-1"));
  EXPECT_TRUE(Holds("model.perplexity>20.5"));
  EXPECT_FALSE(Holds("reference.perplexity>20.5"));
}

TEST(Condition, MalformedTextSaysWhatOneLooksLike) {
  for (const char* text : {"", "perplexity", "perplexity=3", ">3", "perplexity>", "perplexity>x",
                           "perplexity>3x", "perplexity<>3"}) {
    const auto condition = Condition::Parse(text);
    ASSERT_FALSE(condition.ok()) << text;
    EXPECT_NE(condition.status().message().find("perplexity_increase>0.05"), std::string::npos);
  }
}

TEST(Condition, AFigureThatIsNotThereListsThoseThatAre) {
  const Condition condition = *Condition::Parse("perplexity_increase>0.05");
  EXPECT_TRUE(condition.CheckFigure(true).ok());
  const Status alone = condition.CheckFigure(false);
  ASSERT_FALSE(alone.ok());
  EXPECT_NE(alone.message().find("--reference"), std::string::npos);
  EXPECT_NE(alone.message().find("model.perplexity"), std::string::npos);
  EXPECT_FALSE((*Condition::Parse("format>1")).CheckFigure(true).ok());
}

}  // namespace
}  // namespace tyllm::evaluate
