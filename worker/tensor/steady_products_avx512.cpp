// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512f and called only where the processor has it.
#include <immintrin.h>

#include <cstdint>

namespace tyllm::tensor {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kSumRows = 12;
using Floats = __m512;

inline Floats Load(const float* from) {
  return _mm512_loadu_ps(from);
}

inline void Store(float* to, Floats a) {
  _mm512_storeu_ps(to, a);
}

inline Floats Fill(float a) {
  return _mm512_set1_ps(a);
}

inline Floats Add(Floats a, Floats b) {
  return _mm512_add_ps(a, b);
}

inline Floats Times(Floats a, Floats b) {
  return _mm512_mul_ps(a, b);
}

inline Floats MultiplyAdd(Floats a, Floats b, Floats c) {
  return _mm512_fmadd_ps(a, b, c);
}

}  // namespace
}  // namespace tyllm::tensor

#include "worker/tensor/steady_products_body.h"
#include "worker/tensor/steady_products_sets.h"

namespace tyllm::tensor {

const MatrixProducts& Avx512SteadyProducts() {
  static constexpr MatrixProducts kProducts = ProductsNamed("avx512");
  return kProducts;
}

}  // namespace tyllm::tensor
