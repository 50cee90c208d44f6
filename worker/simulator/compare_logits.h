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

/// A row of logits against the reference's; `token` is its position, for messages. kDataLoss names
/// the logit that differs by more than `tolerance`.
Status CompareLogits(std::span<const float> found, std::span<const float> expected,
                     std::int64_t token, double tolerance, LogitDifference& difference);

/// Whether the best token is the reference's. Another one is kDataLoss unless both logits are
/// nearer than two tolerances: then the row does not count as agreeing.
Status CompareBest(std::span<const float> found, std::int32_t expected, std::int64_t token,
                   double tolerance, LogitDifference& difference);

}  // namespace tyllm::simulator
