// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/lanes.h"
#include "worker/die/part.h"

namespace tyllm::die {

/// Arena floats for the cosines and sines of `tokens` positions.
inline constexpr std::uint64_t RopeTableFloats(std::uint64_t tokens, std::uint64_t head_size) {
  return tokens * head_size;
}

/// table [tokens, HeadSize]: cosines, then sines, of position history + t. The angle is a float32
/// product; sine and cosine of it are taken in float64 and rounded, as
/// worker/model/model_shape.h says. Once a call, for all layers.
template <int HeadSize>
void RopeTable(const float* frequencies, std::uint32_t history, Slice tokens, float* table) {
  constexpr int kHalf = HeadSize / 2;
  for (std::uint32_t t = tokens.begin; t < tokens.end; ++t) {
    float* const row = table + static_cast<std::size_t>(t) * HeadSize;
    for (int i = 0; i < kHalf; ++i) {
      const float angle = static_cast<float>(history + t) * frequencies[i];
      row[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
      row[kHalf + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
}

/// Rotates heads `heads` of each row in place: x[i] with x[i + HeadSize / 2]. Rows are `stride`
/// floats apart.
template <int Heads, int HeadSize>
void Rope(float* x, std::size_t stride, const float* table, std::uint32_t tokens,
          Slice heads = Heads) {
  constexpr int kHalf = HeadSize / 2;
  static_assert(kHalf % kLanes == 0);
  for (std::uint32_t t = 0; t < tokens; ++t) {
    const float* const angles = table + static_cast<std::size_t>(t) * HeadSize;
    for (std::uint32_t h = heads.begin; h < heads.end; ++h) {
      float* const head = x + t * stride + static_cast<std::size_t>(h) * HeadSize;
      for (int i = 0; i < kHalf; i += kLanes) {
        const Floats cosine = Load(angles + i);
        const Floats sine = Load(angles + kHalf + i);
        const Floats low = Load(head + i);
        const Floats high = Load(head + kHalf + i);
        Store(head + i, Subtract(Multiply(low, cosine), Multiply(high, sine)));
        Store(head + kHalf + i, Add(Multiply(high, cosine), Multiply(low, sine)));
      }
    }
  }
}

}  // namespace tyllm::die
