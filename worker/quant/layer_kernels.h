// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "worker/quant/coded_linear.h"
#include "worker/quant/input_metric.h"
#include "worker/quant/packed_linear.h"
#include "worker/quant/scale_search.h"
#include "worker/tensor/backend.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// The steps of quantizing a layer that go over whole matrices. Matrices (weights, Gram matrices,
/// those of an InputMetric) are in the memory of the backend that the kernels belong to, and so may
/// codes be; vectors and spans are the host's. What each step promises stands where the CPU's is
/// declared; another implementation gives the same codes but where two grids or codes are equally
/// good within the rounding of float32 sums (tests/worker/quant/layer_kernels_test.cpp). One object
/// computes one thing at a time.
class LayerKernels {
 public:
  virtual ~LayerKernels() = default;

  /// Whether CompensateErrors takes groups of so many columns.
  virtual bool CompensatesGroups(std::int64_t /*group*/) const { return true; }

  /// Whether all numbers are finite and no larger than `largest`.
  virtual bool AllWithin(tensor::MatrixView matrix, float largest) = 0;
  /// sums[c] += sum over the rows of |x[., c]|.
  virtual void AddMagnitudes(tensor::MatrixView x, std::span<double> sums) = 0;
  /// Over every `stride`-th row of gate and up, column by column: gate_sums += (silu'(gate) * up)^2
  /// and up_sums += silu(gate)^2.
  virtual void AddGateSquares(tensor::MatrixView gate, tensor::MatrixView up, std::int64_t stride,
                              std::span<double> gate_sums, std::span<double> up_sums) = 0;
  /// Every number times `factor`.
  virtual void Scale(float factor, tensor::Matrix& matrix) = 0;
  /// Column c times scales[c].
  virtual void MultiplyColumns(std::span<const float> scales, tensor::Matrix& matrix) = 0;
  /// Row r over scales[r].
  virtual void DivideRows(std::span<const float> scales, tensor::Matrix& matrix) = 0;
  /// For each column the sum of squares.
  virtual std::vector<double> ColumnSquares(tensor::MatrixView matrix) = 0;
  /// See scale_candidates.h.
  virtual std::vector<float> MeanRelativeWeight(std::span<const tensor::MatrixView> weights,
                                                std::int64_t group) = 0;
  /// ScaledRoundingErrors of scale_search.h; on a GPU of errors rounded to bfloat16.
  virtual std::vector<double> ScaledErrors(std::span<const ScaleCandidate> candidates,
                                           std::span<const WeighedLinear> linears,
                                           tensor::MatrixView gram, std::int64_t group) = 0;
  /// See input_metric.h.
  virtual InputMetric MakeInputMetric(const tensor::Matrix& gram, std::span<const float> scales,
                                      std::int64_t group) = 0;
  /// The Gram matrix of inputs that were divided by `scales`.
  virtual tensor::Matrix DividedGram(const tensor::Matrix& gram, std::span<const float> scales) = 0;
  /// The coders: see coded_linear.h.
  virtual CodedLinear RoundToNearest(tensor::MatrixView weights, tensor::MatrixView gram,
                                     std::int64_t group) = 0;
  /// The row errors of RoundToNearest alone.
  virtual std::vector<double> NearestErrors(tensor::MatrixView weights, tensor::MatrixView gram,
                                            std::int64_t group) = 0;
  virtual CodedLinear SearchRanges(tensor::MatrixView weights, tensor::MatrixView gram,
                                   std::int64_t group) = 0;
  virtual CodedLinear CompensateErrors(tensor::MatrixView weights, const InputMetric& metric,
                                       GridChoice choice) = 0;
  virtual std::vector<double> RowErrors(tensor::MatrixView difference, tensor::MatrixView gram) = 0;
  /// For each row the product of a's and b's.
  virtual std::vector<double> RowProducts(tensor::MatrixView a, tensor::MatrixView b) = 0;
  /// sum [a.columns, b.columns] += a^T b; a and b have the same rows. On a GPU as exact as Linear.
  virtual void AddProduct(tensor::MatrixView a, tensor::MatrixView b, tensor::Matrix& sum) = 0;
  /// U with gram + damping = U U^T (upper_factor.h), damped as an InputMetric's is.
  virtual tensor::Matrix DampedFactor(const tensor::Matrix& gram) = 0;
  /// Each row b [factor.columns] becomes the y with y U U^T = b.
  virtual void Solve(const tensor::Matrix& factor, tensor::Matrix& rows) = 0;
  /// The tensors of a file with this linear, from where its codes are: the same bytes on every
  /// machine. Nothing where these kernels do not know the layout or it cannot hold the linear:
  /// fetch the codes and use PackCodes, which says why.
  virtual std::optional<PackedLinear> Pack(const CodedLinear& coded,
                                           const model::LinearFormat& format) = 0;
  /// Brings codes that are on the device into `coded.matrix`.
  virtual void FetchCodes(CodedLinear& coded) = 0;
  /// The weights [out, in] that codes stand for: the same numbers on every machine.
  virtual tensor::Matrix Decode(const model::QuantizedMatrix& matrix) = 0;
  /// The same of what was packed.
  virtual tensor::Matrix DecodePacked(const PackedLinear& packed) = 0;
};

/// What computes: the backend in whose memory matrices are, and its kernels.
struct LayerMachine {
  tensor::Backend& backend;
  LayerKernels& kernels;
};

/// The kernels of a backend: its own where it brings some (it is a LayerKernels too), otherwise the
/// CPU's, on `lanes`. Both outlive the result.
class KernelsOf {
 public:
  KernelsOf(tensor::Backend& backend, tensor::TaskLanes& lanes);

  LayerKernels& operator*() const { return *kernels_; }

  LayerKernels* operator->() const { return kernels_; }

 private:
  std::unique_ptr<LayerKernels> own_;
  LayerKernels* kernels_;
};

}  // namespace tyllm::quant
