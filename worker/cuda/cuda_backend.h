// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/guarded.h"
#include "worker/cuda/device.h"
#include "worker/cuda/kernels/ranges.h"
#include "worker/cuda/kernels/rounding.h"
#include "worker/cuda/page_copier.h"
#include "worker/cuda/products.h"
#include "worker/quant/layer_kernels.h"
#include "worker/tensor/backend.h"
#include "worker/tensor/tower_ops.h"

namespace tyllm::cuda {

/// One NVIDIA GPU. Matrices live in its memory; operations only enqueue, and wait where they give
/// numbers to the host. What goes wrong on the device is thrown as tensor::DeviceError.
class CudaBackend final : public tensor::Backend,
                          public tensor::TowerOps,
                          public quant::LayerKernels {
 public:
  explicit CudaBackend(int number);

  std::string_view name() const override { return name_; }

  bool has_own_memory() const override { return true; }

  std::int64_t tokens_at_once() const override { return 4096; }

  std::int64_t peak_device_bytes() const override { return device_.PeakBytes(); }

  std::int64_t free_device_bytes() const override { return device_.FreeBytes(); }

  std::int64_t host_bytes() const override { return kHostBytes; }

  void Finish() override;

  tensor::Matrix Zeros(std::int64_t rows, std::int64_t columns) override;
  tensor::Matrix Place(tensor::Matrix matrix) override;
  std::optional<tensor::Matrix> PlaceEncoded(tensor::NumberFormat format,
                                             std::span<const std::byte> bytes, std::int64_t rows,
                                             std::int64_t columns) override;
  tensor::Matrix Fetch(tensor::MatrixView matrix) override;
  void Copy(tensor::MatrixView x, tensor::Matrix& out) override;
  void AppendRows(tensor::MatrixView more, tensor::Matrix& to) override;

  void Embed(tensor::MatrixView table, std::span<const std::int32_t> ids,
             tensor::Matrix& out) override;
  void Linear(tensor::MatrixView x, tensor::MatrixView w, std::span<const float> bias,
              tensor::Matrix& out) override;
  void AccumulateGram(tensor::MatrixView x, tensor::Matrix& gram) override;
  void RmsNorm(tensor::MatrixView x, std::span<const float> weight, float epsilon,
               tensor::Matrix& out) override;
  void Rope(tensor::Matrix& x, std::span<const std::int32_t> positions,
            std::span<const float> frequencies, std::int64_t head_size) override;
  void Attention(const tensor::AttentionShape& shape, tensor::MatrixView q, tensor::MatrixView k,
                 tensor::MatrixView v, tensor::Matrix& out) override;
  void SiluMul(tensor::MatrixView gate, tensor::MatrixView up, tensor::Matrix& out) override;
  void Add(tensor::MatrixView a, tensor::MatrixView b, tensor::Matrix& out) override;
  void LogSumExp(tensor::MatrixView x, std::span<double> out) override;
  void Pick(tensor::MatrixView x, std::span<const std::int32_t> columns,
            std::span<float> out) override;
  void ArgMax(tensor::MatrixView x, std::span<std::int32_t> out) override;
  void KlDivergence(tensor::MatrixView p, tensor::MatrixView q, std::span<double> out) override;

  void LayerNorm(tensor::MatrixView x, std::span<const float> weight, std::span<const float> bias,
                 float epsilon, tensor::Matrix& out) override;
  void ApplyGelu(tensor::Gelu kind, tensor::MatrixView x, tensor::Matrix& out) override;
  void RotateBy(tensor::MatrixView rotations, std::int64_t head_size, tensor::Matrix& x) override;
  void AttendWithin(std::span<const std::int32_t> ends, std::int64_t heads, tensor::MatrixView q,
                    tensor::MatrixView k, tensor::MatrixView v, tensor::Matrix& out) override;
  void MixRows(tensor::MatrixView table, std::span<const std::int32_t> rows,
               std::span<const float> weights, std::int64_t each, tensor::Matrix& out) override;

  bool CompensatesGroups(std::int64_t group) const override;
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
  std::vector<double> ScaledErrors(std::span<const quant::ScaleCandidate> candidates,
                                   std::span<const quant::WeighedLinear> linears,
                                   tensor::MatrixView gram, std::int64_t group) override;
  quant::InputMetric MakeInputMetric(const tensor::Matrix& gram, std::span<const float> scales,
                                     std::int64_t group) override;
  tensor::Matrix DividedGram(const tensor::Matrix& gram, std::span<const float> scales) override;
  quant::CodedLinear RoundToNearest(tensor::MatrixView weights, tensor::MatrixView gram,
                                    std::int64_t group) override;
  std::vector<double> NearestErrors(tensor::MatrixView weights, tensor::MatrixView gram,
                                    std::int64_t group) override;
  quant::CodedLinear SearchRanges(tensor::MatrixView weights, tensor::MatrixView gram,
                                  std::int64_t group) override;
  quant::CodedLinear CompensateErrors(tensor::MatrixView weights, const quant::InputMetric& metric,
                                      quant::GridChoice choice) override;
  std::vector<double> RowErrors(tensor::MatrixView difference, tensor::MatrixView gram) override;
  std::vector<double> RowProducts(tensor::MatrixView a, tensor::MatrixView b) override;
  void AddProduct(tensor::MatrixView a, tensor::MatrixView b, tensor::Matrix& sum) override;
  tensor::Matrix DampedFactor(const tensor::Matrix& gram) override;
  void Solve(const tensor::Matrix& factor, tensor::Matrix& rows) override;
  std::optional<quant::PackedLinear> Pack(const quant::CodedLinear& coded,
                                          const model::LinearFormat& format) override;
  void FetchCodes(quant::CodedLinear& coded) override;
  tensor::Matrix Decode(const model::QuantizedMatrix& matrix) override;
  tensor::Matrix DecodePacked(const quant::PackedLinear& packed) override;

 private:
  /// A context and cuBLAS (CUDA 13, driver 580, one H100): 400 to 450 MB.
  static constexpr std::int64_t kHostBytes = 600'000'000;

  /// Memory of CodedRows.
  struct Rows {
    Buffer<std::uint8_t> codes;
    Buffer<float> scales;
    Buffer<float> zeros;
    Buffer<float> errors;

    CodedRows view() const { return {codes.get(), scales.get(), zeros.get(), errors.get()}; }
  };

  /// In the layer's own order of columns: codes [rows, width], the others [rows, groups].
  struct DeviceCodes final : quant::CodesOnDevice {
    Buffer<std::uint8_t> codes;
    Buffer<std::uint8_t> zeros;
    Buffer<std::uint16_t> scales;  ///< fp16
  };

  struct RangeRoom;

  /// Numbers that may be the host's, on the device: as they are, or a copy that `kept` holds.
  const float* OnDevice(const float* numbers, std::int64_t count, Buffer<float>& kept);
  /// Gives `out` a shape, on the device; what it holds is unspecified.
  float* Shape(tensor::Matrix& out, std::int64_t rows, std::int64_t columns);
  static void CheckHead(std::int64_t head_size);
  /// Moves a matrix that an operation changes in place.
  float* InPlace(tensor::Matrix& matrix);
  std::vector<double> ColumnSums(std::uint8_t term, tensor::MatrixView x, const float* y,
                                 std::int64_t stride);
  Rows MakeRows(GroupedRows shape);
  Rows RoundRows(tensor::MatrixView weights, GroupedRows shape);
  /// `gram` [width, width] has its columns in the order of `rows`, or is nullptr.
  quant::CodeFacts Facts(GroupedRows shape, const float* weights, CodedRows rows,
                         const float* gram);
  void SearchRows(GroupedRows shape, RangeGroup rows, const float* gram, const RangeRoom& room);
  quant::CodeSum SumOf(GroupedRows shape, const DeviceCodes& codes);
  quant::CodedLinear Store(GroupedRows shape, CodedRows rows, const std::int32_t* columns,
                           std::vector<double> errors);
  void RoundWithFeedback(GroupedRows shape, const float* weights, const quant::InputMetric& metric,
                         bool searched, CodedRows rows);
  void Refine(GroupedRows shape, const float* weights, const quant::InputMetric& metric, bool refit,
              CodedRows rows);
  bool FactorUpper(float* matrix, std::int64_t n);
  /// quant::DampedFactor of inputs that were divided by `scales`; `mean` is of the diagonal before.
  void FactorDamped(tensor::MatrixView gram, double mean, std::span<const float> scales,
                    tensor::Matrix& factor);

  Device device_;
  Products products_;
  std::string name_;
  Guarded<PageCopier> copier_;
};

}  // namespace tyllm::cuda
