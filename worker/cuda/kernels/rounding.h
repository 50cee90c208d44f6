// SPDX-License-Identifier: Apache-2.0
// Rounding to the nearest. All pointers are of the device; calls only enqueue on `stream`.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace tyllm::cuda {

/// Rows of a linear layer and the length of their groups, which divides `width`.
struct GroupedRows {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t group = 0;

  constexpr std::int64_t groups() const { return width / group; }

  constexpr std::int64_t cells() const { return rows * groups(); }

  constexpr std::int64_t numbers() const { return rows * width; }
};

/// What rows became: codes [rows, width], one grid a group [rows, groups], errors = coded - float
/// [rows, width].
struct CodedRows {
  std::uint8_t* codes = nullptr;
  float* scales = nullptr;
  float* zeros = nullptr;
  float* errors = nullptr;
};

/// Each group on its min-max grid.
void RoundToNearest(const float* weights, GroupedRows shape, CodedRows out, cudaStream_t stream);

/// out = root[r] * (round(w * scale) / scale - w), rounded to bfloat16: errors of the weights after
/// scaling, rounding to the nearest and scaling back, each row times what makes its square count.
void ScaledErrors(const float* weights, GroupedRows shape, const float* scales,
                  const float* inverses, const float* roots, __nv_bfloat16* out,
                  cudaStream_t stream);

/// Rows whose error is not smaller than what rounding to the nearest gave become those again.
void KeepBetterRows(GroupedRows shape, const double* nearest_errors, CodedRows nearest,
                    double* errors, CodedRows rows, cudaStream_t stream);

/// *count = groups whose scale is smaller than that of the min-max grid. An exact sum.
void CountNarrowed(GroupedRows shape, const float* scales, const float* min_max,
                   unsigned long long* count, cudaStream_t stream);

/// Puts columns back: out column columns[i] is column i, and groups likewise; scales as fp16.
void StoreCodes(GroupedRows shape, CodedRows rows, const std::int32_t* columns, std::uint8_t* codes,
                std::uint8_t* zeros, std::uint16_t* scales, cudaStream_t stream);

/// out [rows, width] = (code - zero) * scale, each group's; scales as fp16.
void DecodeCodes(GroupedRows shape, const std::uint8_t* codes, const std::uint8_t* zeros,
                 const std::uint16_t* scales, float* out, cudaStream_t stream);

/// out[r, i] = w[r, columns[i]].
void GatherColumns(const float* w, std::int64_t rows, std::int64_t width,
                   const std::int32_t* columns, float* out, cudaStream_t stream);

/// sums[c] += sum over rows of |w| / (largest |w| of the group + 1e-6); `partial` has room for
/// RelativeParts(rows) * width doubles.
std::int64_t RelativeParts(std::int64_t rows);
void AddRelativeWeights(const float* w, GroupedRows shape, double* partial, double* sums,
                        cudaStream_t stream);

}  // namespace tyllm::cuda
