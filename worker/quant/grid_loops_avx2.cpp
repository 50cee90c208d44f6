// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx2 and called only where the processor has it.
#include "worker/quant/grid_loops_body.h"

namespace tyllm::quant {

const GridLoops& Avx2GridLoops() {
  static constexpr GridLoops kLoops = {Range,     Round,          Errors,    Dot,
                                       AddScaled, WeighedSquares, Compensate};
  return kLoops;
}

}  // namespace tyllm::quant
