// SPDX-License-Identifier: Apache-2.0
// For any processor: NEON on aarch64, and elsewhere fused multiply-adds made of float64.
#include <cstdint>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tyllm::tensor {
namespace {

#if defined(__aarch64__)

constexpr std::int64_t kLanes = 4;
constexpr std::int64_t kSumRows = 6;
using Floats = float32x4_t;

inline Floats Load(const float* from) {
  return vld1q_f32(from);
}

inline void Store(float* to, Floats a) {
  vst1q_f32(to, a);
}

inline Floats Fill(float a) {
  return vdupq_n_f32(a);
}

inline Floats Add(Floats a, Floats b) {
  return vaddq_f32(a, b);
}

inline Floats Times(Floats a, Floats b) {
  return vmulq_f32(a, b);
}

inline Floats MultiplyAdd(Floats a, Floats b, Floats c) {
  return vfmaq_f32(c, a, b);
}

#else

constexpr std::int64_t kLanes = 4;
constexpr std::int64_t kSumRows = 2;
using Floats = float __attribute__((vector_size(16)));
using Doubles = double __attribute__((vector_size(32)));
using Words = std::int64_t __attribute__((vector_size(32)));

inline Floats Load(const float* from) {
  Floats v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

inline void Store(float* to, Floats a) {
  __builtin_memcpy(to, &a, sizeof(a));
}

inline Floats Fill(float a) {
  return Floats{a, a, a, a};
}

inline Floats Add(Floats a, Floats b) {
  return a + b;
}

inline Floats Times(Floats a, Floats b) {
  return a * b;
}

/// Products are exact in float64. Sums are rounded to odd there, so that rounding them once more is
/// as rounding the exact ones (Boldo and Melquiond, Emulation of FMA and correctly rounded sums,
/// 2008).
inline Floats MultiplyAdd(Floats a, Floats b, Floats c) {
  const Doubles product = __builtin_convertvector(a, Doubles) * __builtin_convertvector(b, Doubles);
  const Doubles addend = __builtin_convertvector(c, Doubles);
  const Doubles sum = product + addend;
  const Doubles part = sum - product;
  const Doubles missing = (product - (sum - part)) + (addend - part);  // exact
  const Words above = missing > 0.0;
  const Words below = missing < 0.0;
  const Words positive = sum > 0.0;
  Words bits;
  __builtin_memcpy(&bits, &sum, sizeof(bits));
  // An even number goes one step towards what is missing: away from zero where the signs agree.
  const Words step = (above ^ positive) | 1;
  bits += step & (above | below) & ((bits & 1) - 1);
  Doubles odd;
  __builtin_memcpy(&odd, &bits, sizeof(odd));
  return __builtin_convertvector(odd, Floats);
}

#endif

}  // namespace
}  // namespace tyllm::tensor

#include "worker/tensor/steady_products_body.h"
#include "worker/tensor/steady_products_sets.h"

namespace tyllm::tensor {

const MatrixProducts& BaselineSteadyProducts() {
  static constexpr MatrixProducts kProducts = ProductsNamed("baseline");
  return kProducts;
}

}  // namespace tyllm::tensor
