// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/metric.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kFactorThreads = 1024;
/// Of an upper triangle.
constexpr int kTriangle = kFactorBlock * (kFactorBlock + 1) / 2;
/// Threads that share the sums of one column of the inverse.
constexpr int kShare = kFactorThreads / kFactorBlock;

__global__ void DiagonalKernel(const float* matrix, std::int64_t n, float* out) {
  for (std::int64_t i = GlobalThread(); i < n; i += AllThreads()) {
    out[i] = matrix[i * n + i];
  }
}

__global__ void OrderGramKernel(const float* gram, std::int64_t n, const std::int32_t* columns,
                                const float* scales, float* out) {
  const std::int64_t i = blockIdx.x;
  const std::int64_t from = columns != nullptr ? columns[i] : i;
  const float row_scale = scales[from];
  for (std::int64_t j = threadIdx.x; j < n; j += blockDim.x) {
    const std::int64_t c = columns != nullptr ? columns[j] : j;
    out[i * n + j] = gram[from * n + c] / (row_scale * scales[c]);
  }
}

__global__ void AddDiagonalKernel(const float* numbers, std::int64_t n, float* matrix) {
  for (std::int64_t i = GlobalThread(); i < n; i += AllThreads()) {
    matrix[i * n + i] += numbers[i];
  }
}

/// Where an upper triangle has row r of column c: column by column, so that a GPU with 99 KB of
/// shared memory a block has room for two.
__device__ int At(int r, int c) {
  return c * (c + 1) / 2 + r;
}

/// The columns of the inverse of u, each by kShare neighbouring threads, from its last row up.
__device__ void InvertUpper(const double* u, int size, float* v) {
  const int column = threadIdx.x / kShare;
  const int share = threadIdx.x % kShare;
  if (column >= size) {
    return;
  }
  const unsigned mates = ((1U << kShare) - 1U) << (threadIdx.x % kWarp / kShare * kShare);
  if (share == 0) {
    v[At(column, column)] = static_cast<float>(1.0 / u[At(column, column)]);
  }
  __syncwarp(mates);
  for (int i = column - 1; i >= 0; --i) {
    double sum = 0.0;
    for (int m = i + 1 + share; m <= column; m += kShare) {
      sum += u[At(i, m)] * static_cast<double>(v[At(m, column)]);
    }
    for (int step = kShare / 2; step > 0; step /= 2) {
      sum += __shfl_xor_sync(mates, sum, step);
    }
    if (share == 0) {
      v[At(i, column)] = static_cast<float>(-sum / u[At(i, i)]);
    }
    __syncwarp(mates);
  }
}

/// One block. From the last column to the first: a column over the root of its pivot, then what it
/// explains is taken out of those before.
__global__ void __launch_bounds__(kFactorThreads)
    FactorBlockKernel(float* matrix, std::int64_t n, std::int64_t first, int size, float* inverse,
                      std::int32_t* failed) {
  extern __shared__ double u[];  // a triangle, then that of the inverse in float
  auto* v = reinterpret_cast<float*>(u + kTriangle);
  float* block = matrix + first * n + first;
  for (int i = threadIdx.x; i < size * size; i += blockDim.x) {
    const int r = i / size;
    const int c = i % size;
    if (c >= r) {
      u[At(r, c)] = static_cast<double>(block[r * n + c]);
    }
  }
  const int column = threadIdx.x % kFactorBlock;
  for (int k = size - 1; k >= 0; --k) {
    __syncthreads();
    const double pivot = u[At(k, k)];
    if (!(pivot > 0.0)) {
      if (threadIdx.x == 0) {
        *failed = 1;
      }
      return;  // all threads see the same pivot
    }
    const double root = sqrt(pivot);
    __syncthreads();
    if (threadIdx.x < k) {
      u[At(threadIdx.x, k)] /= root;
    } else if (threadIdx.x == k) {
      u[At(k, k)] = root;
    }
    __syncthreads();
    if (column < k) {
      const double factor = u[At(column, k)];
      for (int i = threadIdx.x / kFactorBlock; i <= column; i += kShare) {
        u[At(i, column)] -= u[At(i, k)] * factor;
      }
    }
  }
  __syncthreads();
  InvertUpper(u, size, v);
  __syncthreads();
  for (int i = threadIdx.x; i < size * size; i += blockDim.x) {
    const int r = i / size;
    const int c = i % size;
    if (c >= r) {
      block[r * n + c] = static_cast<float>(u[At(r, c)]);
    }
    inverse[i] = c >= r ? v[At(r, c)] : 0.0F;
  }
}

__global__ void CopyBlockKernel(const float* from, std::int64_t from_stride, std::int64_t rows,
                                std::int64_t columns, float* to, std::int64_t to_stride) {
  for (std::int64_t i = GlobalThread(); i < rows * columns; i += AllThreads()) {
    to[i / columns * to_stride + i % columns] = from[i / columns * from_stride + i % columns];
  }
}

__global__ void PivotsKernel(const float* factor, std::int64_t n, float* costs, float* inverses) {
  for (std::int64_t k = GlobalThread(); k < n; k += AllThreads()) {
    const float pivot = factor[k * n + k];
    costs[k] = pivot * pivot;
    inverses[k] = 1.0F / pivot;
  }
}

/// A block a group, a warp a row in turn.
__global__ void GroupSumsKernel(const float* gram, std::int64_t n, std::int64_t group, float* out,
                                double* totals) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * group;
  double total = 0.0;
  for (std::int64_t i = threadIdx.x / kWarp; i < group; i += blockDim.x / kWarp) {
    float sum = 0.0F;
    for (std::int64_t j = threadIdx.x % kWarp; j < group; j += kWarp) {
      sum += gram[(first + i) * n + first + j];
    }
    sum = WarpSum(sum);
    if (threadIdx.x % kWarp == 0) {
      out[first + i] = sum;
      total += static_cast<double>(sum);
    }
  }
  total = BlockSum(total);
  if (threadIdx.x == 0) {
    totals[blockIdx.x] = total;
  }
}

}  // namespace

void Diagonal(const float* matrix, std::int64_t n, float* out, cudaStream_t stream) {
  DiagonalKernel<<<Blocks(n, kThreads), kThreads, 0, stream>>>(matrix, n, out);
}

void OrderGram(const float* gram, std::int64_t n, const std::int32_t* columns, const float* scales,
               float* out, cudaStream_t stream) {
  OrderGramKernel<<<static_cast<unsigned>(n), kThreads, 0, stream>>>(gram, n, columns, scales, out);
}

void AddDiagonal(const float* numbers, std::int64_t n, float* matrix, cudaStream_t stream) {
  AddDiagonalKernel<<<Blocks(n, kThreads), kThreads, 0, stream>>>(numbers, n, matrix);
}

void FactorBlock(float* matrix, std::int64_t n, std::int64_t first, int size, float* inverse,
                 std::int32_t* failed, cudaStream_t stream) {
  constexpr int kBytes = kTriangle * static_cast<int>(sizeof(double) + sizeof(float));
  static_assert(kBytes <= 99 * 1024, "all GPUs of 8.0 and later");
  cudaFuncSetAttribute(FactorBlockKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  FactorBlockKernel<<<1, kFactorThreads, kBytes, stream>>>(matrix, n, first, size, inverse, failed);
}

void CopyBlock(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride, cudaStream_t stream) {
  if (rows * columns > 0) {
    CopyBlockKernel<<<Blocks(rows * columns, 4 * kThreads), kThreads, 0, stream>>>(
        from, from_stride, rows, columns, to, to_stride);
  }
}

void Pivots(const float* factor, std::int64_t n, float* costs, float* inverses,
            cudaStream_t stream) {
  PivotsKernel<<<Blocks(n, kThreads), kThreads, 0, stream>>>(factor, n, costs, inverses);
}

void GroupSums(const float* gram, std::int64_t n, std::int64_t group, float* out, double* totals,
               cudaStream_t stream) {
  GroupSumsKernel<<<static_cast<unsigned>(n / group), kThreads, 0, stream>>>(gram, n, group, out,
                                                                             totals);
}

}  // namespace tyllm::cuda
