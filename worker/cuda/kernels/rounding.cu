// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/grid_math.cuh"
#include "worker/cuda/kernels/rounding.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;

/// Smallest and largest of 0 and the group's numbers, which f(i) gives; by a warp.
template <typename F>
__device__ void RangeOf(int group, F f, float* low, float* high) {
  float least = 0.0F;
  float most = 0.0F;
  for (int i = threadIdx.x % kWarp; i < group; i += kWarp) {
    const float x = f(i);
    least = fminf(least, x);
    most = fmaxf(most, x);
  }
  *low = WarpMin(least);
  *high = WarpMax(most);
}

/// A warp a group.
__global__ void RoundKernel(const float* weights, GroupedRows shape, CodedRows out) {
  const std::int64_t cell = GlobalThread() / kWarp;
  if (cell >= shape.cells()) {
    return;
  }
  const int group = static_cast<int>(shape.group);
  const float* w = weights + cell * group;
  float low;
  float high;
  RangeOf(group, [=](int i) { return w[i]; }, &low, &high);
  const Grid grid = MinMaxGrid(low, high);
  const float inverse = 1.0F / grid.scale;
  for (int i = threadIdx.x % kWarp; i < group; i += kWarp) {
    const float code = CodeOf(w[i], inverse, grid.zero);
    out.codes[cell * group + i] = static_cast<std::uint8_t>(code);
    out.errors[cell * group + i] = (code - grid.zero) * grid.scale - w[i];
  }
  if (threadIdx.x % kWarp == 0) {
    out.scales[cell] = grid.scale;
    out.zeros[cell] = grid.zero;
  }
}

__global__ void ScaledErrorsKernel(const float* weights, GroupedRows shape, const float* scales,
                                   const float* inverses, const float* roots, __nv_bfloat16* out) {
  const std::int64_t cell = GlobalThread() / kWarp;
  if (cell >= shape.cells()) {
    return;
  }
  const int group = static_cast<int>(shape.group);
  const std::int64_t row = cell / shape.groups();
  const std::int64_t first = cell % shape.groups() * group;
  const float* w = weights + cell * group;
  float low;
  float high;
  RangeOf(group, [=](int i) { return w[i] * scales[first + i]; }, &low, &high);
  const Grid grid = MinMaxGrid(low, high);
  const float inverse = 1.0F / grid.scale;
  const float root = roots[row];
  for (int i = threadIdx.x % kWarp; i < group; i += kWarp) {
    const float error = ErrorOf(w[i] * scales[first + i], inverse, grid) * inverses[first + i];
    out[cell * group + i] = __float2bfloat16_rn(error * root);
  }
}

__global__ void KeepBetterRowsKernel(GroupedRows shape, const double* nearest_errors,
                                     CodedRows nearest, double* errors, CodedRows rows) {
  const std::int64_t r = blockIdx.x;
  if (errors[r] < nearest_errors[r]) {
    return;
  }
  for (std::int64_t i = threadIdx.x; i < shape.width; i += blockDim.x) {
    rows.codes[r * shape.width + i] = nearest.codes[r * shape.width + i];
  }
  for (std::int64_t g = threadIdx.x; g < shape.groups(); g += blockDim.x) {
    rows.scales[r * shape.groups() + g] = nearest.scales[r * shape.groups() + g];
    rows.zeros[r * shape.groups() + g] = nearest.zeros[r * shape.groups() + g];
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    errors[r] = nearest_errors[r];
  }
}

__global__ void CountNarrowedKernel(std::int64_t cells, const float* scales, const float* min_max,
                                    unsigned long long* count) {
  int mine = 0;
  for (std::int64_t i = GlobalThread(); i < cells; i += AllThreads()) {
    mine += scales[i] < min_max[i] ? 1 : 0;
  }
  mine = WarpSum(mine);
  if (threadIdx.x % kWarp == 0) {
    atomicAdd(count, static_cast<unsigned long long>(mine));
  }
}

__global__ void StoreCodesKernel(GroupedRows shape, CodedRows rows, const std::int32_t* columns,
                                 std::uint8_t* codes, std::uint8_t* zeros, std::uint16_t* scales) {
  const std::int64_t r = blockIdx.x;
  for (std::int64_t i = threadIdx.x; i < shape.width; i += blockDim.x) {
    const std::int64_t to = columns != nullptr ? columns[i] : i;
    codes[r * shape.width + to] = rows.codes[r * shape.width + i];
  }
  for (std::int64_t g = threadIdx.x; g < shape.groups(); g += blockDim.x) {
    const std::int64_t to = columns != nullptr ? columns[g * shape.group] / shape.group : g;
    const std::int64_t from = r * shape.groups() + g;
    zeros[r * shape.groups() + to] = static_cast<std::uint8_t>(rows.zeros[from]);
    scales[r * shape.groups() + to] = __half_as_ushort(__float2half_rn(rows.scales[from]));
  }
}

__global__ void GatherColumnsKernel(const float* w, std::int64_t width, const std::int32_t* columns,
                                    float* out) {
  const std::int64_t r = blockIdx.x;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[r * width + i] = w[r * width + columns[i]];
  }
}

constexpr std::int64_t kRelativeRows = 64;

/// A block takes kRelativeRows rows of one group: a thread a column, in turn over the rows.
__global__ void RelativeKernel(const float* w, GroupedRows shape, double* partial) {
  const int group = static_cast<int>(shape.group);
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * kRelativeRows;
  const std::int64_t last_row = min(first_row + kRelativeRows, shape.rows);
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * group;
  __shared__ float inverses[kRelativeRows];
  for (std::int64_t r = first_row + threadIdx.x / kWarp; r < last_row; r += blockDim.x / kWarp) {
    float largest = 0.0F;
    for (int i = threadIdx.x % kWarp; i < group; i += kWarp) {
      largest = fmaxf(largest, fabsf(w[r * shape.width + column + i]));
    }
    largest = WarpMax(largest);
    if (threadIdx.x % kWarp == 0) {
      inverses[r - first_row] = 1.0F / (largest + 1e-6F);
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < group; i += blockDim.x) {
    double sum = 0.0;
    for (std::int64_t r = first_row; r < last_row; ++r) {
      sum += static_cast<double>(fabsf(w[r * shape.width + column + i]) * inverses[r - first_row]);
    }
    partial[blockIdx.y * shape.width + column + i] = sum;
  }
}

__global__ void AddPartsKernel(const double* partial, std::int64_t parts, std::int64_t width,
                               double* sums) {
  for (std::int64_t c = GlobalThread(); c < width; c += AllThreads()) {
    double sum = sums[c];
    for (std::int64_t p = 0; p < parts; ++p) {
      sum += partial[p * width + c];
    }
    sums[c] = sum;
  }
}

__global__ void DecodeCodesKernel(GroupedRows shape, const std::uint8_t* codes,
                                  const std::uint8_t* zeros, const std::uint16_t* scales,
                                  float* out) {
  for (std::int64_t i = GlobalThread(); i < shape.numbers(); i += AllThreads()) {
    const std::int64_t cell = i / shape.group;
    const int steps = static_cast<int>(codes[i]) - static_cast<int>(zeros[cell]);
    out[i] = static_cast<float>(steps) * __half2float(__ushort_as_half(scales[cell]));
  }
}

}  // namespace

void RoundToNearest(const float* weights, GroupedRows shape, CodedRows out, cudaStream_t stream) {
  RoundKernel<<<Blocks(shape.cells() * kWarp, kThreads), kThreads, 0, stream>>>(weights, shape,
                                                                                out);
}

void ScaledErrors(const float* weights, GroupedRows shape, const float* scales,
                  const float* inverses, const float* roots, __nv_bfloat16* out,
                  cudaStream_t stream) {
  ScaledErrorsKernel<<<Blocks(shape.cells() * kWarp, kThreads), kThreads, 0, stream>>>(
      weights, shape, scales, inverses, roots, out);
}

void KeepBetterRows(GroupedRows shape, const double* nearest_errors, CodedRows nearest,
                    double* errors, CodedRows rows, cudaStream_t stream) {
  KeepBetterRowsKernel<<<static_cast<unsigned>(shape.rows), kThreads, 0, stream>>>(
      shape, nearest_errors, nearest, errors, rows);
}

void CountNarrowed(GroupedRows shape, const float* scales, const float* min_max,
                   unsigned long long* count, cudaStream_t stream) {
  cudaMemsetAsync(count, 0, sizeof(*count), stream);
  CountNarrowedKernel<<<64, kThreads, 0, stream>>>(shape.cells(), scales, min_max, count);
}

void StoreCodes(GroupedRows shape, CodedRows rows, const std::int32_t* columns, std::uint8_t* codes,
                std::uint8_t* zeros, std::uint16_t* scales, cudaStream_t stream) {
  StoreCodesKernel<<<static_cast<unsigned>(shape.rows), kThreads, 0, stream>>>(
      shape, rows, columns, codes, zeros, scales);
}

void DecodeCodes(GroupedRows shape, const std::uint8_t* codes, const std::uint8_t* zeros,
                 const std::uint16_t* scales, float* out, cudaStream_t stream) {
  DecodeCodesKernel<<<Blocks(shape.numbers(), kThreads), kThreads, 0, stream>>>(shape, codes, zeros,
                                                                                scales, out);
}

void GatherColumns(const float* w, std::int64_t rows, std::int64_t width,
                   const std::int32_t* columns, float* out, cudaStream_t stream) {
  GatherColumnsKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(w, width, columns, out);
}

std::int64_t RelativeParts(std::int64_t rows) {
  return (rows + kRelativeRows - 1) / kRelativeRows;
}

void AddRelativeWeights(const float* w, GroupedRows shape, double* partial, double* sums,
                        cudaStream_t stream) {
  const std::int64_t parts = RelativeParts(shape.rows);
  const dim3 grid(static_cast<unsigned>(shape.groups()), static_cast<unsigned>(parts));
  RelativeKernel<<<grid, kThreads, 0, stream>>>(w, shape, partial);
  AddPartsKernel<<<Blocks(shape.width, kThreads), kThreads, 0, stream>>>(partial, parts,
                                                                         shape.width, sums);
}

}  // namespace tyllm::cuda
