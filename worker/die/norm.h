// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/lanes.h"
#include "worker/die/part.h"

namespace tyllm::die {

/// out = x / sqrt(mean(x^2) + epsilon) * weight for one row. `out` may be `x`.
template <int Width>
void RmsNormRow(const float* x, const float* weight, float epsilon, float* out) {
  static_assert(Width % kLanes == 0);
  Floats sums[4] = {Fill(0), Fill(0), Fill(0), Fill(0)};
  for (int i = 0; i < Width / kLanes; ++i) {
    const Floats part = Load(x + i * kLanes);
    sums[i % 4] = MultiplyAdd(part, part, sums[i % 4]);
  }
  const float total = Sum(Add(Add(sums[0], sums[1]), Add(sums[2], sums[3])));
  const Floats scale = Fill(1.0F / std::sqrt(total / static_cast<float>(Width) + epsilon));
  for (int i = 0; i < Width; i += kLanes) {
    Store(out + i, Multiply(Multiply(Load(x + i), scale), Load(weight + i)));
  }
}

/// Rows [tokens, Width].
template <int Width>
void RmsNorm(const float* x, const float* weight, float epsilon, Slice tokens, float* out) {
  for (std::uint32_t t = tokens.begin; t < tokens.end; ++t) {
    const std::size_t row = static_cast<std::size_t>(t) * Width;
    RmsNormRow<Width>(x + row, weight, epsilon, out + row);
  }
}

/// In place over heads `heads` of each row; rows are `stride` floats apart. `weight` [HeadSize]
/// serves all heads.
template <int Heads, int HeadSize>
void HeadRmsNorm(float* x, std::size_t stride, const float* weight, float epsilon,
                 std::uint32_t tokens, Slice heads = Heads) {
  for (std::uint32_t t = 0; t < tokens; ++t) {
    for (std::uint32_t h = heads.begin; h < heads.end; ++h) {
      float* head = x + t * stride + static_cast<std::size_t>(h) * HeadSize;
      RmsNormRow<HeadSize>(head, weight, epsilon, head);
    }
  }
}

}  // namespace tyllm::die
