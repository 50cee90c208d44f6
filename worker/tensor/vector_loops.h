// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::tensor {

/// Loops over consecutive floats that the compiler does not vectorise by itself, in one version for
/// each instruction set. exp is accurate to 2 ulp for arguments in [-87, 88] and clamped outside;
/// that of not-a-number is not a number. Sums are taken in as many lanes as the instruction set
/// has, the same way each time.
struct VectorLoops {
  const char* name;
  /// The largest of x[0, n); n >= 1.
  float (*max)(const float* x, std::int64_t n);
  float (*sum_squares)(const float* x, std::int64_t n);
  /// sum of exp(x[i] - shift)
  float (*sum_exp)(const float* x, std::int64_t n, float shift);
  /// x[i] = exp(x[i] - shift); gives the sum of them.
  float (*exp_in_place)(float* x, std::int64_t n, float shift);
  /// sum of exp(p[i] - p_shift) * ((p[i] - q[i]) - gap)
  float (*sum_divergence)(const float* p, const float* q, std::int64_t n, float p_shift, float gap);
  /// out[i] = x[i] * factor * weight[i]
  void (*scale_by_weight)(const float* x, const float* weight, float factor, float* out,
                          std::int64_t n);
  /// x[i] *= factor
  void (*scale)(float* x, float factor, std::int64_t n);
  /// out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]
  void (*silu_mul)(const float* gate, const float* up, float* out, std::int64_t n);
  /// out[i] = x[i] / (1 + exp(-(slope * x[i] + cubic * x[i]^3)))
  void (*sigmoid_mul)(const float* x, float slope, float cubic, float* out, std::int64_t n);
  void (*add)(const float* a, const float* b, float* out, std::int64_t n);
};

/// Four lanes: the same bits on every machine.
const VectorLoops& BaselineLoops();
#if defined(__x86_64__)
/// For processors with AVX2 and FMA.
const VectorLoops& Avx2Loops();
#endif

/// The best that this processor runs.
const VectorLoops& LoopsForThisProcessor();

}  // namespace tyllm::tensor
