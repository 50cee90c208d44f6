// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/abi.h"
#include "worker/die/elementwise.h"

namespace tyllm::die {

/// Rows of sum [tokens, Width] += what the caller passed to be added after the layer before
/// `layer`. Nothing for layer 0, after the first `Levels` layers, and in calls without any.
template <int Width, int Levels>
void AddDeepstack(const DieContext& die, std::uint32_t layer, Slice tokens, float* sum) {
  if (die.deepstack != nullptr && layer >= 1 && layer <= Levels) {
    const std::size_t level = layer - 1;
    AddRows<Width>(die.deepstack + level * die.tokens * Width, tokens, sum);
  }
}

}  // namespace tyllm::die
