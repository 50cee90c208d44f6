// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/vector_loops.h"

namespace tyllm::tensor {

const VectorLoops& LoopsForThisProcessor() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return Avx2Loops();
  }
#endif
  return BaselineLoops();
}

}  // namespace tyllm::tensor
