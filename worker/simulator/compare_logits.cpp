// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/compare_logits.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "common/base/portable_math.h"
#include "worker/simulator/generate.h"

namespace tyllm::simulator {

namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

Status Differs(const std::string& what, std::int64_t token, double found, double expected,
               double tolerance) {
  return DataLoss(what + " of token " + std::to_string(token) + " is " + Number(found) +
                  ", the float32 reference gives " + Number(expected) + ": they differ by " +
                  Number(std::fabs(found - expected)) + ", allowed are " + Number(tolerance));
}

}  // namespace

double LogSum(std::span<const float> logits) {
  const auto largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float x : logits) {
    sum += PortableExp(static_cast<double>(x) - largest);
  }
  return largest + PortableLog(sum);
}

Status CompareSummary(std::span<const float> found, const RowSummary& expected, std::int64_t token,
                      double tolerance) {
  for (std::size_t i = 0; i < expected.top_tokens.size(); ++i) {
    const auto at = static_cast<std::size_t>(expected.top_tokens[i]);
    const double apart =
        std::fabs(static_cast<double>(found[at]) - static_cast<double>(expected.top_logits[i]));
    if (!(apart <= tolerance)) {
      return Differs("logit " + std::to_string(at), token, found[at], expected.top_logits[i],
                     tolerance);
    }
  }
  const double sum = LogSum(found);
  if (!(std::fabs(sum - static_cast<double>(expected.log_sum)) <= tolerance)) {
    return Differs("the log of the sum of all e^logit", token, sum, expected.log_sum, tolerance);
  }
  return OkStatus();
}

double Divergence(std::span<const float> found, std::span<const float> expected) {
  const double found_sum = LogSum(found);
  const double expected_sum = LogSum(expected);
  double divergence = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double log_expected = static_cast<double>(expected[i]) - expected_sum;
    const double log_found = static_cast<double>(found[i]) - found_sum;
    divergence += PortableExp(log_expected) * (log_expected - log_found);
  }
  return std::max(divergence, 0.0);  // rounding
}

Status CompareLogits(std::span<const float> found, std::span<const float> expected,
                     std::int64_t token, double tolerance, LogitDifference& difference) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double apart =
        std::fabs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
    if (!(apart <= tolerance)) {
      return Differs("logit " + std::to_string(i), token, found[i], expected[i], tolerance);
    }
    difference.max_difference = std::max(difference.max_difference, apart);
  }
  const double divergence = Divergence(found, expected);
  difference.kl_sum += divergence;
  difference.kl_largest = std::max(difference.kl_largest, divergence);
  ++difference.rows;
  return OkStatus();
}

Status CompareBest(std::span<const float> found, std::int32_t expected, std::int64_t token,
                   double tolerance, LogitDifference& difference) {
  ++difference.best_rows;
  const std::int32_t best = BestToken(found);
  if (best == expected) {
    ++difference.best_agree;
    return OkStatus();
  }
  if (expected < 0 || expected >= std::ssize(found)) {
    return DataLoss("the reference's best token after token " + std::to_string(token) + " is " +
                    std::to_string(expected) + ", outside the vocabulary");
  }
  const double apart = static_cast<double>(found[static_cast<std::size_t>(best)]) -
                       static_cast<double>(found[static_cast<std::size_t>(expected)]);
  if (apart <= 2 * tolerance) {
    return OkStatus();
  }
  return DataLoss("the best token after token " + std::to_string(token) + " is " +
                  std::to_string(best) + ", the float32 reference's is " +
                  std::to_string(expected) + ", whose logit is smaller by " + Number(apart));
}

}  // namespace tyllm::simulator
