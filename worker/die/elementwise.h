// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/lanes.h"

namespace tyllm::die {

/// All [tokens, Width]: out = silu(gate) * up. `out` may be one of the inputs.
template <int Width>
void SiluMul(const float* gate, const float* up, std::uint32_t tokens, float* out) {
  static_assert(Width % kLanes == 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(tokens) * Width; i += kLanes) {
    const Floats g = Load(gate + i);
    const Floats silu = Divide(g, Add(Fill(1), Exp(Subtract(Fill(0), g))));
    Store(out + i, Multiply(silu, Load(up + i)));
  }
}

/// sum [tokens, Width] += x.
template <int Width>
void AddRows(const float* x, std::uint32_t tokens, float* sum) {
  static_assert(Width % kLanes == 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(tokens) * Width; i += kLanes) {
    Store(sum + i, Add(Load(sum + i), Load(x + i)));
  }
}

/// Each row of x [tokens, Width] += bias [Width].
template <int Width>
void AddBias(const float* bias, std::uint32_t tokens, float* x) {
  for (std::uint32_t t = 0; t < tokens; ++t) {
    for (int i = 0; i < Width; ++i) {
      x[static_cast<std::size_t>(t) * Width + static_cast<std::size_t>(i)] += bias[i];
    }
  }
}

}  // namespace tyllm::die
