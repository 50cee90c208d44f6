// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.h"

namespace tyllm::simulator {

/// How far logits are from those of the reference, over all rows that were compared.
struct LogitDifference {
  std::int64_t rows = 0;  ///< compared number by number
  double max_difference = 0;
  double kl_sum = 0;  ///< Kullback-Leibler divergence of the reference from what was found, nats
  double kl_largest = 0;
  std::int64_t best_rows = 0;   ///< whose best token was compared
  std::int64_t best_agree = 0;  ///< and is the reference's
};

/// KL(expected || found) of the two distributions over the vocabulary, in nats.
double Divergence(std::span<const float> found, std::span<const float> expected);

/// log of the sum of e^logit, without overflow.
double LogSum(std::span<const float> logits);

/// What is kept of a row of the reference's logits that is not kept whole.
struct RowSummary {
  std::span<const std::int32_t> top_tokens;
  std::span<const float> top_logits;
  float log_sum = 0;
};

/// A row of logits against the summary of the reference's: its largest logits, and the log of the
/// sum over all, which no change of all logits by up to `tolerance` changes by more. kDataLoss
/// names what differs by more.
Status CompareSummary(std::span<const float> found, const RowSummary& expected, std::int64_t token,
                      double tolerance);

/// A row of logits against the reference's; `token` is its position, for messages. kDataLoss names
/// the logit that differs by more than `tolerance`.
Status CompareLogits(std::span<const float> found, std::span<const float> expected,
                     std::int64_t token, double tolerance, LogitDifference& difference);

/// Whether the best token is the reference's. Another one is kDataLoss unless both logits are
/// nearer than two tolerances: then the row does not count as agreeing.
Status CompareBest(std::span<const float> found, std::int32_t expected, std::int64_t token,
                   double tolerance, LogitDifference& difference);

}  // namespace tyllm::simulator
