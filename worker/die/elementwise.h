// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/lanes.h"

namespace tyllm::die {

/// `gate_up` [tokens, 2 * Width]: gate, then up. out [tokens, Width] = silu(gate) * up.
template <int Width>
void SiluMul(const float* gate_up, std::uint32_t tokens, float* out) {
  static_assert(Width % kLanes == 0);
  for (std::uint32_t t = 0; t < tokens; ++t) {
    const float* const gate = gate_up + static_cast<std::size_t>(t) * 2 * Width;
    const float* const up = gate + Width;
    float* const row = out + static_cast<std::size_t>(t) * Width;
    for (int i = 0; i < Width; i += kLanes) {
      const Floats g = Load(gate + i);
      const Floats sigmoid = Divide(g, Add(Fill(1), Exp(Subtract(Fill(0), g))));
      Store(row + i, Multiply(sigmoid, Load(up + i)));
    }
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
