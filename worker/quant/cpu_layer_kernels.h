// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/quant/layer_kernels.h"

namespace tyllm::quant {

/// On matrices of the host's memory, spread over `lanes`, which outlive this.
class CpuLayerKernels : public LayerKernels {
 public:
  explicit CpuLayerKernels(tensor::TaskLanes& lanes) : lanes_(lanes) {}

  bool AllWithin(tensor::MatrixView matrix, float largest) override;
  void AddMagnitudes(tensor::MatrixView x, std::span<double> sums) override;
  void AddGateSquares(tensor::MatrixView gate, tensor::MatrixView up, std::int64_t stride,
                      std::span<double> gate_sums, std::span<double> up_sums) override;
  void Scale(float factor, tensor::Matrix& matrix) override;
  void MultiplyColumns(std::span<const float> scales, tensor::Matrix& matrix) override;
  void DivideRows(std::span<const float> scales, tensor::Matrix& matrix) override;
  std::vector<double> ColumnSquares(tensor::MatrixView matrix) override;
  std::vector<float> MeanRelativeWeight(std::span<const tensor::MatrixView> weights,
                                        std::int64_t group) override;
  std::vector<double> ScaledErrors(std::span<const ScaleCandidate> candidates,
                                   std::span<const WeighedLinear> linears, tensor::MatrixView gram,
                                   std::int64_t group) override;
  InputMetric MakeInputMetric(const tensor::Matrix& gram, std::span<const float> scales,
                              std::int64_t group) override;
  tensor::Matrix DividedGram(const tensor::Matrix& gram, std::span<const float> scales) override;
  CodedLinear RoundToNearest(tensor::MatrixView weights, tensor::MatrixView gram,
                             std::int64_t group) override;
  std::vector<double> NearestErrors(tensor::MatrixView weights, tensor::MatrixView gram,
                                    std::int64_t group) override;
  CodedLinear SearchRanges(tensor::MatrixView weights, tensor::MatrixView gram,
                           std::int64_t group) override;
  CodedLinear CompensateErrors(tensor::MatrixView weights, const InputMetric& metric,
                               GridChoice choice) override;
  std::vector<double> RowErrors(tensor::MatrixView difference, tensor::MatrixView gram) override;
  std::vector<double> RowProducts(tensor::MatrixView a, tensor::MatrixView b) override;
  void AddProduct(tensor::MatrixView a, tensor::MatrixView b, tensor::Matrix& sum) override;
  tensor::Matrix DampedFactor(const tensor::Matrix& gram) override;
  void Solve(const tensor::Matrix& factor, tensor::Matrix& rows) override;
  std::optional<PackedLinear> Pack(const CodedLinear& coded,
                                   const model::LinearFormat& format) override;

  void FetchCodes(CodedLinear& /*coded*/) override {}

  tensor::Matrix Decode(const model::QuantizedMatrix& matrix) override;
  tensor::Matrix DecodePacked(const PackedLinear& packed) override;

 private:
  tensor::TaskLanes& lanes_;
};

}  // namespace tyllm::quant
