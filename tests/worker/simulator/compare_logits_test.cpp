// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/compare_logits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tyllm::simulator {
namespace {

constexpr double kTolerance = 0.1;

/// A row, and the summary of what it should be: its two largest logits.
class Row {
 public:
  Row() : log_sum_(static_cast<float>(LogSum(logits))) {}

  Status Compare() const {
    return CompareSummary(logits, {kTopTokens, kTopLogits, log_sum_}, 7, kTolerance);
  }

  std::vector<float> logits = {0.5F, 4, -1, 3, 2.5F, 2.5F};

 private:
  static constexpr std::int32_t kTopTokens[] = {1, 3};
  static constexpr float kTopLogits[] = {4, 3};
  float log_sum_;
};

TEST(CompareSummary, AcceptsARowWithinTheTolerance) {
  Row row;
  for (float& logit : row.logits) {
    logit += 0.09F;
  }
  EXPECT_TRUE(row.Compare().ok());
}

TEST(CompareSummary, NamesALargeLogitThatDiffers) {
  Row row;
  row.logits[3] -= 0.2F;
  const Status status = row.Compare();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("logit 3 of token 7"), std::string::npos) << status.message();
}

TEST(CompareSummary, FindsOthersThatAreTooLargeByTheSum) {
  Row row;
  row.logits[2] = 3.5F;  // not among those that are kept
  const Status status = row.Compare();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("e^logit"), std::string::npos) << status.message();
}

TEST(CompareSummary, ANumberThatIsNoneIsNeverRight) {
  Row row;
  row.logits[2] = NAN;
  EXPECT_FALSE(row.Compare().ok());
}

TEST(LogSum, DoesNotOverflow) {
  EXPECT_NEAR(LogSum(std::vector<float>{1000, 1000}), 1000 + std::log(2.0), 1e-9);
}

}  // namespace
}  // namespace tyllm::simulator
