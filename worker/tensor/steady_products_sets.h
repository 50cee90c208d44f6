// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/tensor/matrix_products.h"

namespace tyllm::tensor {

const MatrixProducts& BaselineSteadyProducts();
#if defined(__x86_64__)
/// For processors with AVX2 and FMA.
const MatrixProducts& Avx2SteadyProducts();
/// For processors with AVX-512F.
const MatrixProducts& Avx512SteadyProducts();
#endif

}  // namespace tyllm::tensor
