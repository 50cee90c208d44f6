// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/plan/schedule.h"

namespace tyllm::simulator {

/// The parameters of one program on one die in float32, wherever they come from.
class WeightReader {
 public:
  virtual ~WeightReader() = default;

  /// Said before row blocks of a matrix are read, and again now and then while they are. By one
  /// thread, while no other reads.
  virtual void Prepare(plan::WeightId id, std::int64_t layer) const = 0;
  /// Norms, biases, frequencies. `layer` is -1 outside the layers. By one thread at a time.
  virtual std::span<const float> Vector(plan::WeightId id, std::int64_t layer) const = 0;
  /// Row block `block` of a matrix: [16, columns]; rows behind the last are zeros. By any threads.
  virtual void ReadRowBlock(plan::WeightId id, std::int64_t layer, std::int64_t block,
                            std::vector<float>& out) const = 0;
};

}  // namespace tyllm::simulator
