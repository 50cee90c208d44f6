// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/grid_loops_body.h"

namespace tyllm::quant {

const GridLoops& BaselineGridLoops() {
  static constexpr GridLoops kLoops = {Range,     Round,          Errors,    Dot,
                                       AddScaled, WeighedSquares, Compensate};
  return kLoops;
}

const GridLoops& GridLoopsForThisProcessor() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0) {
    return Avx2GridLoops();
  }
#endif
  return BaselineGridLoops();
}

}  // namespace tyllm::quant
