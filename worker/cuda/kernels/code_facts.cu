// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/code_facts.h"
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/grid_math.cuh"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kPartRows = 64;
/// quant/code_facts.cpp's.
constexpr float kBeyond = 0.501F;

/// A block takes kPartRows rows of one group: a warp a row in turn.
__global__ void DescribeKernel(GroupedRows shape, const float* weights, CodedRows rows,
                               const float* energy, double* partial,
                               unsigned long long* saturated) {
  const int group = static_cast<int>(shape.group);
  const std::int64_t g = blockIdx.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kPartRows;
  const std::int64_t last = min(first + kPartRows, shape.rows);
  double errors = 0.0;
  int beyond = 0;
  for (std::int64_t r = first + threadIdx.x / kWarp; r < last; r += blockDim.x / kWarp) {
    const Grid grid{rows.scales[r * shape.groups() + g], rows.zeros[r * shape.groups() + g]};
    float sum = 0.0F;
    for (int i = threadIdx.x % kWarp; i < group; i += kWarp) {
      const std::int64_t column = g * group + i;
      const auto code = static_cast<float>(rows.codes[r * shape.width + column]);
      const float error = (code - grid.zero) * grid.scale - weights[r * shape.width + column];
      sum += error * error * (energy != nullptr ? energy[column] : 1.0F);
      const bool is_at_end = code == 0.0F || code == kLargestCode;
      beyond += is_at_end && fabsf(error) > kBeyond * grid.scale ? 1 : 0;
    }
    errors += static_cast<double>(WarpSum(sum));
  }
  errors = BlockSum(threadIdx.x % kWarp == 0 ? errors : 0.0);
  beyond = WarpSum(beyond);
  if (threadIdx.x % kWarp == 0 && beyond > 0) {
    atomicAdd(saturated, static_cast<unsigned long long>(beyond));  // integers: in any order
  }
  if (threadIdx.x == 0) {
    partial[static_cast<std::int64_t>(blockIdx.y) * shape.groups() + g] = errors;
  }
}

__global__ void AddPartsKernel(const double* partial, std::int64_t parts, std::int64_t groups,
                               double* errors) {
  for (std::int64_t g = GlobalThread(); g < groups; g += AllThreads()) {
    double sum = 0.0;
    for (std::int64_t p = 0; p < parts; ++p) {
      sum += partial[p * groups + g];
    }
    errors[g] = sum;
  }
}

}  // namespace

std::int64_t FactParts(std::int64_t rows) {
  return (rows + kPartRows - 1) / kPartRows;
}

void DescribeCodes(GroupedRows shape, const float* weights, CodedRows rows, const float* energy,
                   double* partial, double* errors, unsigned long long* saturated,
                   cudaStream_t stream) {
  const std::int64_t parts = FactParts(shape.rows);
  cudaMemsetAsync(saturated, 0, sizeof(*saturated), stream);
  const dim3 grid(static_cast<unsigned>(shape.groups()), static_cast<unsigned>(parts));
  DescribeKernel<<<grid, kThreads, 0, stream>>>(shape, weights, rows, energy, partial, saturated);
  AddPartsKernel<<<Blocks(shape.groups(), kThreads), kThreads, 0, stream>>>(partial, parts,
                                                                            shape.groups(), errors);
}

}  // namespace tyllm::cuda
