// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx2 -mfma and called only where the processor has both.
#include <immintrin.h>

#include <cstdint>

namespace tyllm::tensor {
namespace {

constexpr std::int64_t kLanes = 8;
constexpr std::int64_t kSumRows = 6;
using Floats = __m256;

inline Floats Load(const float* from) {
  return _mm256_loadu_ps(from);
}

inline void Store(float* to, Floats a) {
  _mm256_storeu_ps(to, a);
}

inline Floats Fill(float a) {
  return _mm256_set1_ps(a);
}

inline Floats Add(Floats a, Floats b) {
  return _mm256_add_ps(a, b);
}

inline Floats Times(Floats a, Floats b) {
  return _mm256_mul_ps(a, b);
}

inline Floats MultiplyAdd(Floats a, Floats b, Floats c) {
  return _mm256_fmadd_ps(a, b, c);
}

}  // namespace
}  // namespace tyllm::tensor

#include "worker/tensor/steady_products_body.h"
#include "worker/tensor/steady_products_sets.h"

namespace tyllm::tensor {

const MatrixProducts& Avx2SteadyProducts() {
  static constexpr MatrixProducts kProducts = ProductsNamed("avx2");
  return kProducts;
}

}  // namespace tyllm::tensor
