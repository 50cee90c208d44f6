// SPDX-License-Identifier: Apache-2.0
// Codes on their way to the host and back: as words of the written format where there is a kernel
// for its layout, so that half a byte a weight goes over the bus.
#include <cstddef>

#include "worker/cuda/cuda_backend.h"
#include "worker/cuda/kernels/packing.h"
#include "worker/model/awq_gemm_words.h"
#include "worker/model/linear_format.h"

namespace tyllm::cuda {

using tensor::Matrix;

namespace {

/// Bytes that one term of a CodeSum covers.
constexpr std::int64_t kSummedBytes = 8;

GroupedRows ShapeOf(const model::QuantizedMatrix& matrix) {
  return {matrix.rows, matrix.columns, matrix.group};
}

bool HasWords(const model::LinearFormat& format, std::int64_t outputs) {
  return format.words == model::WordLayout::kAwqGemm && outputs % model::kAwqGemmPack == 0;
}

template <typename T>
std::vector<std::byte> ReceiveBytes(Device& device, const T* from, std::int64_t count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * sizeof(T));
  device.CopyOut(bytes.data(), from, bytes.size());
  return bytes;
}

/// A tensor of a file, on the device.
Buffer<std::byte> SendPart(Device& device, const quant::PackedLinear& packed,
                           model::LinearPart part) {
  return device.Send(quant::BytesOf(packed, part));
}

}  // namespace

quant::CodeSum CudaBackend::SumOf(GroupedRows shape, const DeviceCodes& codes) {
  const Buffer<unsigned long long> sums = device_.Make<unsigned long long>(2);
  Check(cudaMemsetAsync(sums.get(), 0, 2 * sizeof(unsigned long long), device_.stream()),
        "cudaMemsetAsync");
  AddCodeTerms(codes.codes.get(), shape.numbers() / kSummedBytes, 0, sums.get(), device_.stream());
  AddCodeTerms(codes.zeros.get(), shape.cells() / kSummedBytes, 1, sums.get(), device_.stream());
  AddCodeTerms(codes.scales.get(), shape.cells() * 2 / kSummedBytes, 2, sums.get(),
               device_.stream());
  const std::vector<unsigned long long> found = device_.Receive(sums.get(), 2);
  return {found[0], found[1]};
}

std::optional<quant::PackedLinear> CudaBackend::Pack(const quant::CodedLinear& coded,
                                                     const model::LinearFormat& format) {
  const auto* const codes = dynamic_cast<const DeviceCodes*>(coded.on_device.get());
  const GroupedRows shape = ShapeOf(coded.matrix);
  if (codes == nullptr || !HasWords(format, shape.rows)) {
    return std::nullopt;
  }
  device_.Use();
  const std::int64_t row = shape.rows / model::kAwqGemmPack;
  const Buffer<std::uint32_t> words = device_.Make<std::uint32_t>(shape.width * row);
  const Buffer<std::uint32_t> zeros = device_.Make<std::uint32_t>(shape.groups() * row);
  const Buffer<std::uint16_t> scales = device_.Make<std::uint16_t>(shape.cells());
  PackWords(codes->codes.get(), shape.rows, shape.width, words.get(), device_.stream());
  PackWords(codes->zeros.get(), shape.rows, shape.groups(), zeros.get(), device_.stream());
  TransposeHalves(codes->scales.get(), shape.rows, shape.groups(), scales.get(), device_.stream());
  quant::PackedLinear packed{&format, {shape.rows, shape.width, shape.group}, {}, {}};
  packed.sum = SumOf(shape, *codes);
  for (const model::PartSpec& part : format.parts(packed.size, {.group = shape.group})) {
    switch (part.part) {
      case model::LinearPart::kWeight:
        packed.parts.push_back({part.key, ReceiveBytes(device_, words.get(), shape.width * row)});
        break;
      case model::LinearPart::kZeros:
        packed.parts.push_back(
            {part.key, ReceiveBytes(device_, zeros.get(), shape.groups() * row)});
        break;
      case model::LinearPart::kScales:
        packed.parts.push_back({part.key, ReceiveBytes(device_, scales.get(), shape.cells())});
        break;
      case model::LinearPart::kShape:
      case model::LinearPart::kOrder:
        return std::nullopt;  // no format of this layout has them
    }
  }
  return packed;
}

void CudaBackend::FetchCodes(quant::CodedLinear& coded) {
  const auto* const codes = dynamic_cast<const DeviceCodes*>(coded.on_device.get());
  if (codes == nullptr) {
    return;
  }
  device_.Use();
  const GroupedRows shape = ShapeOf(coded.matrix);
  coded.matrix.q.resize(static_cast<std::size_t>(shape.numbers()));
  device_.CopyOut(coded.matrix.q.data(), codes->codes.get(), coded.matrix.q.size());
  coded.matrix.zero = device_.Receive(codes->zeros.get(), shape.cells());
  coded.matrix.scale = device_.Receive(codes->scales.get(), shape.cells());
  coded.on_device = nullptr;
}

Matrix CudaBackend::Decode(const model::QuantizedMatrix& matrix) {
  device_.Use();
  const GroupedRows shape = ShapeOf(matrix);
  const Buffer<std::uint8_t> codes = device_.Send(std::span<const std::uint8_t>(matrix.q));
  const Buffer<std::uint8_t> zeros = device_.Send(std::span<const std::uint8_t>(matrix.zero));
  const Buffer<std::uint16_t> scales = device_.Send(std::span<const std::uint16_t>(matrix.scale));
  Matrix weights;
  DecodeCodes(shape, codes.get(), zeros.get(), scales.get(),
              Shape(weights, matrix.rows, matrix.columns), device_.stream());
  return weights;
}

Matrix CudaBackend::DecodePacked(const quant::PackedLinear& packed) {
  if (!HasWords(*packed.format, packed.size.out)) {
    return Decode(*quant::UnpackCodes(packed));
  }
  device_.Use();
  const GroupedRows shape{packed.size.out, packed.size.in, packed.size.group};
  const Buffer<std::byte> codes = SendPart(device_, packed, model::LinearPart::kWeight);
  const Buffer<std::byte> zeros = SendPart(device_, packed, model::LinearPart::kZeros);
  const Buffer<std::byte> scales = SendPart(device_, packed, model::LinearPart::kScales);
  Matrix weights;
  DecodeWords(shape, reinterpret_cast<const std::uint32_t*>(codes.get()),
              reinterpret_cast<const std::uint32_t*>(zeros.get()),
              reinterpret_cast<const std::uint16_t*>(scales.get()),
              Shape(weights, shape.rows, shape.width), device_.stream());
  return weights;
}

}  // namespace tyllm::cuda
