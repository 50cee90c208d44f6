// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx2 -mfma and called only where the processor has both.
#define TYLLM_LANES 8
#include "worker/tensor/vector_loops_body.h"

namespace tyllm::tensor {

const VectorLoops& Avx2Loops() {
  static constexpr VectorLoops kLoops = LoopsNamed("avx2");
  return kLoops;
}

}  // namespace tyllm::tensor
