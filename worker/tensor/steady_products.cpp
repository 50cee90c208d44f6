// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/steady_products.h"

#include <vector>

#include "worker/tensor/steady_products_sets.h"

namespace tyllm::tensor {

std::span<const MatrixProducts* const> SteadyProducts() {
  static const std::vector<const MatrixProducts*> kHere = [] {
    std::vector<const MatrixProducts*> here{&BaselineSteadyProducts()};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
      here.push_back(&Avx2SteadyProducts());
    }
    if (__builtin_cpu_supports("avx512f") != 0) {
      here.push_back(&Avx512SteadyProducts());
    }
#endif
    return here;
  }();
  return kHere;
}

}  // namespace tyllm::tensor
