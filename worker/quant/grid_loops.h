// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::quant {

/// Grids that are carried through a group at once.
inline constexpr std::int64_t kGridLanes = 8;

/// A group of one row in the order of treatment (see InputMetric).
struct FeedbackRun {
  const float* target = nullptr;    ///< weights, moved by the errors of the groups before
  const float* weights = nullptr;   ///< as they are
  const float* feedback = nullptr;  ///< the group's block of the feedback matrix
  std::int64_t stride = 0;          ///< floats from row to row of it
  const float* cost = nullptr;      ///< of each column
  std::int64_t count = 0;           ///< columns
};

/// The inner loops of rounding, in one version for each instruction set. All give the same numbers:
/// no multiplication is fused with an addition and sums are taken in sixteen lanes.
struct GridLoops {
  /// The smallest and the largest of 0 and w[0, n).
  void (*range)(const float* w, std::int64_t n, float* low, float* high);
  /// codes[i] = clamp(round(w[i] / step) + zero, 0, 15), halves to even.
  void (*round)(const float* w, std::int64_t n, float step, float zero, std::uint8_t* codes);
  /// error[i] = (code - zero) * step - w[i], with the codes of `round`.
  void (*errors)(const float* w, std::int64_t n, float step, float zero, float* error);
  /// sum of a[i] * b[i]
  float (*dot)(const float* a, const float* b, std::int64_t n);
  /// to[i] += a[i] * factor
  void (*add_scaled)(const float* a, float factor, std::int64_t n, float* to);
  /// sum of cost[i] * error[i]^2, with the errors of `errors`.
  float (*weighed_squares)(const float* w, const float* cost, std::int64_t n, float step,
                           float zero);
  /// Rounds the columns of a group one after another on kGridLanes grids side by side, each column
  /// moved by the errors of those before: errors[i * kGridLanes + lane] = coded - weight. Scores:
  /// sum of cost * (coded - moved weight)^2.
  void (*compensate)(const FeedbackRun& run, const float* steps, const float* zeros, float* errors,
                     float* scores);
};

const GridLoops& BaselineGridLoops();
#if defined(__x86_64__)
const GridLoops& Avx2GridLoops();
#endif

/// The best that this processor runs.
const GridLoops& GridLoopsForThisProcessor();

}  // namespace tyllm::quant
