// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace tyllm::quant {

/// Of so many batches of calibration, one in how many is followed through the quantized model
/// (docs/adr/0068): at most one in four, four where there are.
constexpr std::int64_t FollowedStride(std::int64_t batches) {
  return std::clamp<std::int64_t>(batches / 4, 1, 4);
}

/// How many: none of one, since what it says could not be tried on another.
constexpr std::int64_t FollowedBatches(std::int64_t batches) {
  const std::int64_t stride = FollowedStride(batches);
  return batches < 2 ? 0 : (batches + stride - 1) / stride;
}

}  // namespace tyllm::quant
