// SPDX-License-Identifier: Apache-2.0
// Four lanes: SSE2 on x86-64, NEON on aarch64.
#define TYLLM_LANES 4
#include "worker/tensor/vector_loops_body.h"

namespace tyllm::tensor {

const VectorLoops& BaselineLoops() {
  static constexpr VectorLoops kLoops = LoopsNamed("baseline");
  return kLoops;
}

}  // namespace tyllm::tensor
