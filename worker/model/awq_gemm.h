// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "worker/model/awq_gemm_words.h"
#include "worker/model/linear_format.h"
#include "worker/model/quantized_matrix.h"

namespace tyllm::model {

/// The three tensors of a linear layer [out, in] in AutoAWQ's GEMM layout, which AMTC shares
/// (docs/formats/checkpoints.md): transposed, eight output columns to a word as
/// awq_gemm_words.h says.
struct AwqGemmTensors {
  std::vector<std::uint32_t> qweight;  ///< [in, out / 8], I32 in files
  std::vector<std::uint32_t> qzeros;   ///< [in / group, out / 8], I32 in files
  std::vector<std::uint16_t> scales;   ///< [in / group, out], F16
};

/// kInvalidArgument when out is no multiple of 8 or group does not divide in.
Status CheckAwqGemmShape(std::int64_t out, std::int64_t in, std::int64_t group);

/// Numbers beyond 15 are a broken promise and lose their upper bits.
Result<AwqGemmTensors> PackAwqGemm(const QuantizedMatrix& matrix);

/// Contents of the three tensors as they are in a file (little-endian, of any alignment).
struct AwqGemmBytes {
  std::span<const std::byte> qweight;
  std::span<const std::byte> qzeros;
  std::span<const std::byte> scales;
};

/// Sizes of the parts that do not fit the shape are kInvalidArgument.
Result<QuantizedMatrix> UnpackAwqGemm(std::int64_t out, std::int64_t in, std::int64_t group,
                                      const AwqGemmBytes& bytes);

// The same as rows of a LinearFormat, for the formats that differ in their keys alone.

struct AwqGemmKeys {
  std::string_view weight;
  std::string_view zeros;
  std::string_view scales;
};

Status CheckAwqGemmSize(const LinearSize& size);
std::vector<PartSpec> AwqGemmParts(const LinearSize& size, const AwqGemmKeys& keys);
Result<QuantizedMatrix> AwqGemmGrids(const LinearSize& size, const LinearTraits& traits,
                                     const LinearTensors& tensors);
void AwqGemmCodes(const LinearSize& size, const LinearTensors& tensors, const CodeRegion& region,
                  std::uint8_t* q);
Result<std::vector<PackedPart>> PackAwqGemm(const QuantizedMatrix& matrix, const AwqGemmKeys& keys);

}  // namespace tyllm::model
