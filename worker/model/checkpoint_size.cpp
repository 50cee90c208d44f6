// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint_size.h"

#include <array>

namespace tyllm::model {

namespace {

struct Matrix {
  std::int64_t out = 0;
  std::int64_t in = 0;

  std::int64_t elements() const { return out * in; }

  std::int64_t QuantizedBytes(std::int64_t group) const {
    const std::int64_t groups = out * ((in + group - 1) / group);
    return (elements() + 1) / 2 + groups * 2 + (groups + 1) / 2;
  }
};

// The linear layers of one decoder layer.
std::array<Matrix, 7> LayerMatrices(const ModelShape& shape) {
  const std::int64_t width = shape.width;
  return {Matrix{shape.q_columns(), width},  Matrix{shape.kv_columns(), width},
          Matrix{shape.kv_columns(), width}, Matrix{width, shape.q_columns()},
          Matrix{shape.intermediate, width}, Matrix{shape.intermediate, width},
          Matrix{width, shape.intermediate}};
}

}  // namespace

std::int64_t FloatBytes(const ModelShape& shape) {
  return 2 * shape.parameters();
}

std::int64_t QuantizedBytes(const ModelShape& shape, std::int64_t group) {
  std::int64_t bytes = FloatBytes(shape);
  for (const Matrix& matrix : LayerMatrices(shape)) {
    bytes += shape.layers * (matrix.QuantizedBytes(group) - 2 * matrix.elements());
  }
  return bytes;
}

}  // namespace tyllm::model
