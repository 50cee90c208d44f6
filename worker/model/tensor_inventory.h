// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/model/model_shape.h"

namespace tyllm::model {

/// One thing that a checkpoint of a given shape must hold.
struct NeededTensor {
  /// A tensor name, or the module name of a linear layer (whose storage the checkpoint chooses).
  std::string name;
  std::vector<std::int64_t> shape;  ///< [out, in] of a linear layer
  bool is_linear = false;
};

/// Everything, in the order in which it is used. A tied head is not listed: it is the embedding.
std::vector<NeededTensor> NeededTensors(const ModelShape& shape);

/// Elements of all of them together.
std::int64_t Elements(const std::vector<NeededTensor>& tensors);

}  // namespace tyllm::model
