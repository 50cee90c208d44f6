// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/sums.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kManyBlocks = 132 * 16;
/// Rows that one thread adds up before parts are added.
constexpr std::int64_t kPartRows = 64;

/// Rounds, and leaves what is missing.
__device__ __nv_bfloat16 TakeHalf(float& number) {
  const __nv_bfloat16 rounded = __float2bfloat16_rn(number);
  number -= __bfloat162float(rounded);
  return rounded;
}

__global__ void SplitKernel(const float* x, std::int64_t n, __nv_bfloat16* first,
                            __nv_bfloat16* second, __nv_bfloat16* third) {
  for (std::int64_t i = GlobalThread(); i < n; i += AllThreads()) {
    float number = x[i];
    first[i] = TakeHalf(number);
    second[i] = TakeHalf(number);
    if (third != nullptr) {
      third[i] = TakeHalf(number);
    }
  }
}

constexpr int kSquare = 32;

/// A block takes the tile (i, j) and the tile (j, i) of `part`.
__global__ void AddSymmetricKernel(const float* part, std::int64_t n, float* gram) {
  __shared__ float mirrored[kSquare][kSquare + 1];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kSquare + threadIdx.x;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kSquare;
  const std::int64_t mirrored_column = row + threadIdx.x;
  const std::int64_t mirrored_row = static_cast<std::int64_t>(blockIdx.x) * kSquare;
  for (int i = threadIdx.y; i < kSquare; i += blockDim.y) {
    mirrored[i][threadIdx.x] = mirrored_row + i < n && mirrored_column < n
                                   ? part[(mirrored_row + i) * n + mirrored_column]
                                   : 0.0F;
  }
  __syncthreads();
  for (int i = threadIdx.y; i < kSquare; i += blockDim.y) {
    if (row + i < n && column < n) {
      const std::int64_t at = (row + i) * n + column;
      gram[at] += part[at] + mirrored[threadIdx.x][i];
    }
  }
}

template <ColumnTerm kTerm>
__device__ double TermOf(const float* x, const float* y, std::int64_t at) {
  const float a = x[at];
  if (kTerm == ColumnTerm::kMagnitude) {
    return static_cast<double>(fabsf(a));
  }
  if (kTerm == ColumnTerm::kSquare) {
    return static_cast<double>(a) * static_cast<double>(a);
  }
  const float sigmoid = 1.0F / (1.0F + expf(-a));
  const float factor = kTerm == ColumnTerm::kGateSlope
                           ? sigmoid * (1.0F + a * (1.0F - sigmoid)) * y[at]
                           : a * sigmoid;
  return static_cast<double>(factor * factor);
}

template <ColumnTerm kTerm>
__global__ void ColumnKernel(const float* x, const float* y, std::int64_t rows,
                             std::int64_t columns, std::int64_t stride, double* partial) {
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= columns) {
    return;
  }
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kPartRows * stride;
  const std::int64_t last = min(first + kPartRows * stride, rows);
  double sum = 0.0;
  for (std::int64_t r = first; r < last; r += stride) {
    sum += TermOf<kTerm>(x, y, r * columns + c);
  }
  partial[blockIdx.y * columns + c] = sum;
}

__global__ void SumPartsKernel(const double* partial, std::int64_t parts, std::int64_t columns,
                               double* sums) {
  for (std::int64_t c = GlobalThread(); c < columns; c += AllThreads()) {
    double sum = 0.0;
    for (std::int64_t p = 0; p < parts; ++p) {
      sum += partial[p * columns + c];
    }
    sums[c] = sum;
  }
}

__global__ void RowDotsKernel(const float* a, std::int64_t a_stride, const float* b,
                              std::int64_t b_stride, std::int64_t columns, bool add, double* out) {
  const std::int64_t r = blockIdx.x;
  double sum = 0.0;
  for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
    sum += static_cast<double>(a[r * a_stride + c] * b[r * b_stride + c]);
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) {
    out[r] = add ? out[r] + sum : sum;
  }
}

__global__ void PanelDotKernel(const float* a, std::int64_t a_stride, const float* b,
                               std::int64_t b_stride, std::int64_t rows, std::int64_t columns,
                               std::int64_t square, double* partial) {
  double sum = 0.0;
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    float once = 0.0F;
    float twice = 0.0F;
    for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
      const float product = a[r * a_stride + c] * b[r * b_stride + c];
      if (c < square) {
        once += product;
      } else {
        twice += product;
      }
    }
    sum += static_cast<double>(once) + 2.0 * static_cast<double>(twice);
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

__global__ void AddDotPartsKernel(const double* partial, double* sum) {
  double total = *sum;
  for (int i = 0; i < kDotParts; ++i) {
    total += partial[i];
  }
  *sum = total;
}

}  // namespace

void SplitPlanes(const float* x, std::int64_t n, __nv_bfloat16* first, __nv_bfloat16* second,
                 __nv_bfloat16* third, cudaStream_t stream) {
  const int blocks = min(Blocks(n, kThreads), kManyBlocks);
  SplitKernel<<<blocks, kThreads, 0, stream>>>(x, n, first, second, third);
}

void AddSymmetric(const float* part, std::int64_t n, float* gram, cudaStream_t stream) {
  const auto tiles = static_cast<unsigned>(Blocks(n, kSquare));
  AddSymmetricKernel<<<dim3(tiles, tiles), dim3(kSquare, 8), 0, stream>>>(part, n, gram);
}

std::int64_t ColumnParts(std::int64_t rows, std::int64_t stride) {
  return (rows + kPartRows * stride - 1) / (kPartRows * stride);
}

void SumColumns(ColumnTerm term, const float* x, const float* y, std::int64_t rows,
                std::int64_t columns, std::int64_t stride, double* partial, double* sums,
                cudaStream_t stream) {
  const std::int64_t parts = ColumnParts(rows, stride);
  const dim3 grid(static_cast<unsigned>(Blocks(columns, kThreads)), static_cast<unsigned>(parts));
  switch (term) {
    case ColumnTerm::kMagnitude:
      ColumnKernel<ColumnTerm::kMagnitude>
          <<<grid, kThreads, 0, stream>>>(x, y, rows, columns, stride, partial);
      break;
    case ColumnTerm::kSquare:
      ColumnKernel<ColumnTerm::kSquare>
          <<<grid, kThreads, 0, stream>>>(x, y, rows, columns, stride, partial);
      break;
    case ColumnTerm::kGateSlope:
      ColumnKernel<ColumnTerm::kGateSlope>
          <<<grid, kThreads, 0, stream>>>(x, y, rows, columns, stride, partial);
      break;
    case ColumnTerm::kSilu:
      ColumnKernel<ColumnTerm::kSilu>
          <<<grid, kThreads, 0, stream>>>(x, y, rows, columns, stride, partial);
      break;
  }
  SumPartsKernel<<<Blocks(columns, kThreads), kThreads, 0, stream>>>(partial, parts, columns, sums);
}

void RowDots(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
             std::int64_t rows, std::int64_t columns, bool add, double* out, cudaStream_t stream) {
  RowDotsKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(a, a_stride, b, b_stride,
                                                                      columns, add, out);
}

void PanelDot(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
              std::int64_t rows, std::int64_t columns, std::int64_t square, double* partial,
              double* sum, cudaStream_t stream) {
  PanelDotKernel<<<kDotParts, kThreads, 0, stream>>>(a, a_stride, b, b_stride, rows, columns,
                                                     square, partial);
  AddDotPartsKernel<<<1, 1, 0, stream>>>(partial, sum);
}

}  // namespace tyllm::cuda
