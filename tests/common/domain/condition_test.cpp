// SPDX-License-Identifier: Apache-2.0
#include "common/domain/condition.h"

#include <gtest/gtest.h>

#include "common/domain/task_options.h"

namespace tyllm::domain {
namespace {

bool Holds(std::string_view text, double value) {
  return (*Condition::Parse(text)).HoldsOf(value);
}

TEST(Condition, ComparesANumberWithABound) {
  EXPECT_TRUE(Holds("perplexity_increase>0.04", 0.05));
  EXPECT_FALSE(Holds("perplexity_increase>0.05", 0.05));
  EXPECT_TRUE(Holds("perplexity_increase >= 0.05", 0.05));
  EXPECT_TRUE(Holds(" top1_agreement < 0.95 ", 0.9));
  EXPECT_FALSE(Holds("top1_agreement<=8e-1", 0.9));
  EXPECT_EQ((*Condition::Parse(" choice.subjects.astronomy.accuracy < .5")).figure,
            "choice.subjects.astronomy.accuracy");
}

TEST(Condition, MalformedTextSaysWhatOneLooksLike) {
  for (const char* text : {"", "perplexity", "perplexity=3", ">3", "perplexity>", "perplexity>x",
                           "perplexity>3x", "perplexity<>3", "perplexity>nan", "perplexity<inf"}) {
    const auto condition = Condition::Parse(text);
    ASSERT_FALSE(condition.ok()) << text;
    EXPECT_NE(condition.status().message().find("perplexity_increase>0.05"), std::string::npos);
  }
}

TEST(Condition, OptionsOfAnEvaluationAreRefusedWithAMalformedOne) {
  EXPECT_TRUE(Check(EvaluateOptions{.fail_if = {"a>1", "b<2"}}).ok());
  EXPECT_EQ(Check(EvaluateOptions{.fail_if = {"a>1", "b"}}).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::domain
