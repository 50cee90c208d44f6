// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/lanes.h"
#include "worker/die/tile.h"

namespace tyllm::die {

/// All [tokens, Width]: out = silu(gate) * up. `out` may be one of the inputs.
template <int Width>
void SiluMul(const float* gate, const float* up, Slice tokens, float* out) {
  static_assert(Width % kLanes == 0);
  const std::size_t end = std::size_t{tokens.end} * Width;
  for (std::size_t i = std::size_t{tokens.begin} * Width; i < end; i += kLanes) {
    const Floats g = Load(gate + i);
    const Floats silu = Divide(g, Add(Fill(1), Exp(Subtract(Fill(0), g))));
    Store(out + i, Multiply(silu, Load(up + i)));
  }
}

/// Rows of out [tokens, Width] = 0.
template <int Width>
void Zero(Slice tokens, float* out) {
  std::memset(out + std::size_t{tokens.begin} * Width, 0,
              sizeof(float) * (tokens.end - tokens.begin) * Width);
}

/// Rows of out [tokens, Width] = those of x.
template <int Width>
void CopyRows(const float* x, Slice tokens, float* out) {
  const std::size_t begin = std::size_t{tokens.begin} * Width;
  std::memcpy(out + begin, x + begin, sizeof(float) * (tokens.end - tokens.begin) * Width);
}

/// sum [tokens, Width] += x.
template <int Width>
void AddRows(const float* x, Slice tokens, float* sum) {
  static_assert(Width % kLanes == 0);
  const std::size_t end = std::size_t{tokens.end} * Width;
  for (std::size_t i = std::size_t{tokens.begin} * Width; i < end; i += kLanes) {
    Store(sum + i, Add(Load(sum + i), Load(x + i)));
  }
}

/// Row blocks `blocks` of each row of x [tokens, Width] += bias [Width].
template <int Width>
void AddBias(const float* bias, std::uint32_t tokens, float* x, Slice blocks = BlocksOf(Width)) {
  const std::size_t begin = std::size_t{blocks.begin} * kRowBlock;
  const std::size_t end = std::size_t{blocks.end} * kRowBlock;
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t i = begin; i < (end < Width ? end : Width); ++i) {
      x[t * Width + i] += bias[i];
    }
  }
}

}  // namespace tyllm::die
