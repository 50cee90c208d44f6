// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::quant {

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
};

const GridLoops& BaselineGridLoops();
#if defined(__x86_64__)
const GridLoops& Avx2GridLoops();
#endif

/// The best that this processor runs.
const GridLoops& GridLoopsForThisProcessor();

}  // namespace tyllm::quant
