// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "common/base/enum_table.h"
#include "worker/tensor/backend.h"

namespace tyllm::tensor {

enum class Gelu : std::uint8_t {
  kErf,   ///< x / 2 * (1 + erf(x / sqrt(2)))
  kTanh,  ///< x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  kQuick  ///< x / (1 + exp(-1.702 x))
};

/// What visual towers need besides Backend's operations, and what the language model needs for
/// tokens that have several positions. The same rules hold. A back end that has them is a TowerOps
/// as well as a Backend: FindTowerOps.
class TowerOps {
 public:
  virtual ~TowerOps() = default;

  /// out[r] = (x[r] - mean) / sqrt(variance + epsilon) * weight + bias; weight and bias [columns].
  virtual void LayerNorm(MatrixView x, std::span<const float> weight, std::span<const float> bias,
                         float epsilon, Matrix& out) = 0;
  /// `out` may be x.
  virtual void ApplyGelu(Gelu kind, MatrixView x, Matrix& out) = 0;
  /// Rotates every head of row r in place by row r of `rotations`: cosines of its head_size / 2
  /// angles, then sines. x[i] turns with x[i + head_size / 2].
  virtual void RotateBy(MatrixView rotations, std::int64_t head_size, Matrix& x) = 0;
  /// Softmax of q k^T / sqrt(head size) times v, a head at a time, within runs of rows that all see
  /// each other. `ends` are the ends of the runs, ascending; the last is q.rows. q, k, v and out
  /// have one shape, `heads` heads a row.
  virtual void AttendWithin(std::span<const std::int32_t> ends, std::int64_t heads, MatrixView q,
                            MatrixView k, MatrixView v, Matrix& out) = 0;
  /// out[r] = the sum over j < each of weights[r * each + j] * table[rows[r * each + j]].
  virtual void MixRows(MatrixView table, std::span<const std::int32_t> rows,
                       std::span<const float> weights, std::int64_t each, Matrix& out) = 0;
};

/// nullptr where the back end has not got them.
inline TowerOps* FindTowerOps(Backend& backend) {
  return dynamic_cast<TowerOps*>(&backend);
}

}  // namespace tyllm::tensor
