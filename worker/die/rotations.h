// SPDX-License-Identifier: Apache-2.0
#pragma once

// The program that turns positions in time, height and width into rope's cosines and sines.

#include "worker/die/lanes.h"
#include "worker/die/part.h"

namespace tyllm::die {

/// Row t of table [.., HeadSize]: cosines, then sines, of token t. Pair i turns by
/// positions[axes[i]][t] * frequencies[i]; positions are [3, Capacity]. The angle is a float32
/// product; sine and cosine of it are taken in float64 and rounded, as RopeTable does.
template <int HeadSize, int Capacity>
void Rotations(const float* frequencies, const std::int32_t* axes, const std::int32_t* positions,
               Slice tokens, float* table) {
  constexpr std::size_t kHalf = HeadSize / 2;
  for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
    float* const row = table + t * HeadSize;
    for (std::size_t i = 0; i < kHalf; ++i) {
      const std::int32_t position = positions[static_cast<std::size_t>(axes[i]) * Capacity + t];
      const float angle = static_cast<float>(position) * frequencies[i];
      row[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
      row[kHalf + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
}

}  // namespace tyllm::die
