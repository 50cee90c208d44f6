// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/judge.h"

#include <gtest/gtest.h>

namespace tyllm::evaluate {
namespace {

Report Compared() {
  Report report;
  report.model.perplexity = 21.0;
  report.reference.emplace().perplexity = 20.0;
  report.perplexity_increase = 0.05;
  report.choice.emplace().subjects["astronomy"].accuracy = 0.4;
  return report;
}

std::vector<domain::Condition> Conditions(const std::vector<std::string>& texts) {
  std::vector<domain::Condition> conditions;
  for (const std::string& text : texts) {
    conditions.push_back(*domain::Condition::Parse(text));
  }
  return conditions;
}

TEST(Judge, EveryConditionIsJudgedAndThoseThatHoldAreTold) {
  Report report = Compared();
  report.conditions = Judge(Conditions({"perplexity_increase>0.04", "model.perplexity>30",
                                        "choice.subjects.astronomy.accuracy<0.5"}),
                            report);
  ASSERT_EQ(report.conditions.size(), 3U);
  EXPECT_TRUE(report.conditions[0].holds);
  EXPECT_FALSE(report.conditions[1].holds);
  EXPECT_EQ(report.conditions[1].value, 21.0);
  EXPECT_TRUE(report.conditions[2].holds);
  const std::string told = Violations(report);
  EXPECT_NE(told.find("perplexity_increase>0.04"), std::string::npos) << told;
  EXPECT_NE(told.find("astronomy"), std::string::npos) << told;
  EXPECT_EQ(told.find("model.perplexity"), std::string::npos) << told;
}

TEST(Judge, NothingIsToldWhereNoneHolds) {
  Report report = Compared();
  report.conditions = Judge(Conditions({"perplexity_increase>1"}), report);
  EXPECT_EQ(Violations(report), "");
}

TEST(CheckFigures, AFigureThatIsNotThereListsThoseThatAre) {
  EXPECT_TRUE(CheckFigures(Conditions({"perplexity_increase>0.05"}), Compared()).ok());
  Report alone = Compared();
  alone.reference.reset();
  alone.perplexity_increase.reset();
  const Status status = CheckFigures(Conditions({"perplexity_increase>0.05"}), alone);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("--reference"), std::string::npos);
  EXPECT_NE(status.message().find("model.perplexity"), std::string::npos);
  EXPECT_NE(status.message().find("choice.subjects.NAME.accuracy"), std::string::npos);
  EXPECT_FALSE(CheckFigures(Conditions({"format>1"}), Compared()).ok()) << "format is no number";
}

}  // namespace
}  // namespace tyllm::evaluate
