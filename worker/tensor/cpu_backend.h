// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/tensor/backend.h"
#include "worker/tensor/matrix_products.h"
#include "worker/tensor/task_lanes.h"
#include "worker/tensor/tower_ops.h"
#include "worker/tensor/vector_loops.h"

namespace tyllm::tensor {

/// Matrix products of a BLAS or steady ones, the rest from vector_loops.h, both cut into tiles
/// whose shape depends on the operands alone and spread over the threads.
class CpuBackend : public Backend, public TowerOps {
 public:
  /// `threads` of 0: one a CPU that this process may use. With products of a BLAS after
  /// PrepareBlas.
  CpuBackend(int threads, const VectorLoops& loops, const MatrixProducts& products);

  std::string_view name() const override { return "cpu"; }

  Matrix Zeros(std::int64_t rows, std::int64_t columns) override { return {rows, columns}; }

  Matrix Place(Matrix matrix) override { return matrix; }

  Matrix Fetch(MatrixView matrix) override;
  void Copy(MatrixView x, Matrix& out) override;

  void AppendRows(MatrixView more, Matrix& to) override { to.AppendRows(more); }

  void Embed(MatrixView table, std::span<const std::int32_t> ids, Matrix& out) override;
  void Linear(MatrixView x, MatrixView w, std::span<const float> bias, Matrix& out) override;
  void AccumulateGram(MatrixView x, Matrix& gram) override;
  void RmsNorm(MatrixView x, std::span<const float> weight, float epsilon, Matrix& out) override;
  void Rope(Matrix& x, std::span<const std::int32_t> positions, std::span<const float> frequencies,
            std::int64_t head_size) override;
  void Attention(const AttentionShape& shape, MatrixView q, MatrixView k, MatrixView v,
                 Matrix& out) override;
  void SiluMul(MatrixView gate, MatrixView up, Matrix& out) override;
  void Add(MatrixView a, MatrixView b, Matrix& out) override;
  void LayerNorm(MatrixView x, std::span<const float> weight, std::span<const float> bias,
                 float epsilon, Matrix& out) override;
  void ApplyGelu(Gelu kind, MatrixView x, Matrix& out) override;
  void RotateBy(MatrixView rotations, std::int64_t head_size, Matrix& x) override;
  void AttendWithin(std::span<const std::int32_t> ends, std::int64_t heads, MatrixView q,
                    MatrixView k, MatrixView v, Matrix& out) override;
  void MixRows(MatrixView table, std::span<const std::int32_t> rows, std::span<const float> weights,
               std::int64_t each, Matrix& out) override;
  void LogSumExp(MatrixView x, std::span<double> out) override;
  void Pick(MatrixView x, std::span<const std::int32_t> columns, std::span<float> out) override;
  void ArgMax(MatrixView x, std::span<std::int32_t> out) override;
  void KlDivergence(MatrixView p, MatrixView q, std::span<double> out) override;

 private:
  TaskLanes lanes_;
  const VectorLoops& loops_;
  const MatrixProducts& products_;
};

}  // namespace tyllm::tensor
