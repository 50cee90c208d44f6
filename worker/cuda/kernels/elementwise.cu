// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/elementwise.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 132 * 16;

int GridFor(std::int64_t n) {
  const std::int64_t blocks = (n + kThreads - 1) / kThreads;
  return static_cast<int>(blocks < kMostBlocks ? blocks : kMostBlocks);
}

/// f(i) for the numbers in [0, n).
template <typename F>
__global__ void ForEachKernel(std::int64_t n, F f) {
  for (std::int64_t i = GlobalThread(); i < n; i += AllThreads()) {
    f(i);
  }
}

template <typename F>
void ForEach(std::int64_t n, cudaStream_t stream, F f) {
  if (n > 0) {
    ForEachKernel<<<GridFor(n), kThreads, 0, stream>>>(n, f);
  }
}

__global__ void RmsNormKernel(const float* x, std::int64_t width, const float* weight,
                              float epsilon, float* out) {
  const float* from = x + static_cast<std::int64_t>(blockIdx.x) * width;
  float* to = out + static_cast<std::int64_t>(blockIdx.x) * width;
  float squares = 0.0F;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    squares += from[i] * from[i];
  }
  const float mean = BlockSum(squares) / static_cast<float>(width);
  const float factor = 1.0F / sqrtf(mean + epsilon);
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    to[i] = from[i] * factor * weight[i];
  }
}

/// Runs that a warp holds.
__global__ void NarrowRmsNormKernel(const float* x, std::int64_t runs, int width,
                                    const float* weight, float epsilon, float* out) {
  const std::int64_t run = GlobalThread() / kWarp;
  const int lane = threadIdx.x % kWarp;
  if (run >= runs) {
    return;
  }
  const float* from = x + run * width;
  float squares = 0.0F;
  for (int i = lane; i < width; i += kWarp) {
    squares += from[i] * from[i];
  }
  const float factor = 1.0F / sqrtf(WarpSum(squares) / static_cast<float>(width) + epsilon);
  for (int i = lane; i < width; i += kWarp) {
    out[run * width + i] = from[i] * factor * weight[i];
  }
}

__device__ double RowLogSumExp(const float* row, std::int64_t columns) {
  float largest = -INFINITY;
  for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
    largest = fmaxf(largest, row[c]);
  }
  largest = BlockMax(largest);
  double sum = 0.0;
  for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
    sum += static_cast<double>(expf(row[c] - largest));
  }
  return static_cast<double>(largest) + log(BlockSum(sum));
}

__global__ void LogSumExpKernel(const float* x, std::int64_t columns, double* out) {
  const double sum = RowLogSumExp(x + static_cast<std::int64_t>(blockIdx.x) * columns, columns);
  if (threadIdx.x == 0) {
    out[blockIdx.x] = sum;
  }
}

__global__ void KlDivergenceKernel(const float* p, const float* q, std::int64_t columns,
                                   double* out) {
  const float* p_row = p + static_cast<std::int64_t>(blockIdx.x) * columns;
  const float* q_row = q + static_cast<std::int64_t>(blockIdx.x) * columns;
  const double p_sum = RowLogSumExp(p_row, columns);
  const auto gap = static_cast<float>(p_sum - RowLogSumExp(q_row, columns));
  const auto shift = static_cast<float>(p_sum);
  double sum = 0.0;
  for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
    sum += static_cast<double>(expf(p_row[c] - shift) * ((p_row[c] - q_row[c]) - gap));
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) {
    out[blockIdx.x] = sum;
  }
}

__global__ void ArgMaxKernel(const float* x, std::int64_t columns, std::int32_t* out) {
  __shared__ int first;
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * columns;
  float largest = -INFINITY;
  for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
    largest = fmaxf(largest, row[c]);
  }
  largest = BlockMax(largest);
  if (threadIdx.x == 0) {
    first = static_cast<int>(columns);
  }
  __syncthreads();
  for (std::int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
    if (row[c] == largest) {
      atomicMin(&first, static_cast<int>(c));
      break;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    out[blockIdx.x] = first < columns ? first : 0;
  }
}

}  // namespace

void DecodeHalf(const std::uint16_t* from, std::int64_t n, float* out, cudaStream_t stream) {
  ForEach(n, stream,
          [=] __device__(std::int64_t i) { out[i] = __half2float(__ushort_as_half(from[i])); });
}

void DecodeBFloat16(const std::uint16_t* from, std::int64_t n, float* out, cudaStream_t stream) {
  ForEach(n, stream, [=] __device__(std::int64_t i) {
    out[i] = __uint_as_float(static_cast<unsigned>(from[i]) << 16U);
  });
}

void EmbedRows(const float* table, const std::int32_t* ids, std::int64_t rows, std::int64_t columns,
               float* out, cudaStream_t stream) {
  ForEach(rows * columns, stream, [=] __device__(std::int64_t i) {
    out[i] = table[ids[i / columns] * columns + i % columns];
  });
}

void RmsNorm(const float* x, std::int64_t runs, std::int64_t width, const float* weight,
             float epsilon, float* out, cudaStream_t stream) {
  if (runs == 0) {
    return;
  }
  constexpr std::int64_t kNarrow = 512;
  if (width <= kNarrow) {
    NarrowRmsNormKernel<<<Blocks(runs * kWarp, kThreads), kThreads, 0, stream>>>(
        x, runs, static_cast<int>(width), weight, epsilon, out);
  } else {
    RmsNormKernel<<<static_cast<unsigned>(runs), kThreads, 0, stream>>>(x, width, weight, epsilon,
                                                                        out);
  }
}

void FillRotations(const std::int32_t* positions, std::int64_t entries, const float* frequencies,
                   std::int64_t half, float* rotations, cudaStream_t stream) {
  ForEach(entries * half, stream, [=] __device__(std::int64_t i) {
    const std::int64_t entry = i / half;
    const std::int64_t at = i % half;
    const float position =
        static_cast<float>(positions != nullptr ? positions[entry] : static_cast<int>(entry));
    const auto angle = static_cast<double>(position * frequencies[at]);
    rotations[entry * 2 * half + at] = static_cast<float>(cos(angle));
    rotations[entry * 2 * half + half + at] = static_cast<float>(sin(angle));
  });
}

void Rotate(float* x, std::int64_t rows, std::int64_t columns, const std::int32_t* entries,
            const float* rotations, std::int64_t half, cudaStream_t stream) {
  const std::int64_t pairs = columns / 2;
  ForEach(rows * pairs, stream, [=] __device__(std::int64_t i) {
    const std::int64_t r = i / pairs;
    const std::int64_t head = i % pairs / half;
    const std::int64_t at = i % half;
    const float* rotation =
        rotations + (entries != nullptr ? static_cast<std::int64_t>(entries[r]) : r) * 2 * half;
    float* pair = x + r * columns + head * 2 * half + at;
    const float a = pair[0];
    const float b = pair[half];
    pair[0] = a * rotation[at] - b * rotation[half + at];
    pair[half] = b * rotation[at] + a * rotation[half + at];
  });
}

void SiluMul(const float* gate, const float* up, std::int64_t n, float* out, cudaStream_t stream) {
  ForEach(n, stream, [=] __device__(std::int64_t i) {
    // exp(88) is still finite, and what is divided by it is as good as 0
    out[i] = gate[i] / (expf(fminf(-gate[i], 88.0F)) + 1.0F) * up[i];
  });
}

void Add(const float* a, const float* b, std::int64_t n, float* out, cudaStream_t stream) {
  ForEach(n, stream, [=] __device__(std::int64_t i) { out[i] = a[i] + b[i]; });
}

void FillRows(const float* bias, std::int64_t rows, std::int64_t columns, float* out,
              cudaStream_t stream) {
  ForEach(rows * columns, stream, [=] __device__(std::int64_t i) { out[i] = bias[i % columns]; });
}

void Scale(float factor, std::int64_t n, float* x, cudaStream_t stream) {
  ForEach(n, stream, [=] __device__(std::int64_t i) { x[i] *= factor; });
}

void MultiplyColumns(const float* scales, std::int64_t rows, std::int64_t columns, float* x,
                     cudaStream_t stream) {
  ForEach(rows * columns, stream, [=] __device__(std::int64_t i) { x[i] *= scales[i % columns]; });
}

void DivideRows(const float* scales, std::int64_t rows, std::int64_t columns, float* x,
                cudaStream_t stream) {
  ForEach(rows * columns, stream, [=] __device__(std::int64_t i) { x[i] /= scales[i / columns]; });
}

void FindOutside(const float* x, std::int64_t n, float largest, std::int32_t* outside,
                 cudaStream_t stream) {
  ForEach(n, stream, [=] __device__(std::int64_t i) {
    if (!(fabsf(x[i]) <= largest)) {
      *outside = 1;  // whoever comes writes the same
    }
  });
}

void ArgMax(const float* x, std::int64_t rows, std::int64_t columns, std::int32_t* out,
            cudaStream_t stream) {
  ArgMaxKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, columns, out);
}

void LogSumExp(const float* x, std::int64_t rows, std::int64_t columns, double* out,
               cudaStream_t stream) {
  LogSumExpKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, columns, out);
}

void KlDivergence(const float* p, const float* q, std::int64_t rows, std::int64_t columns,
                  double* out, cudaStream_t stream) {
  KlDivergenceKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(p, q, columns, out);
}

void Pick(const float* x, std::int64_t rows, std::int64_t columns, const std::int32_t* at,
          float* out, cudaStream_t stream) {
  ForEach(rows, stream, [=] __device__(std::int64_t r) { out[r] = x[r * columns + at[r]]; });
}

}  // namespace tyllm::cuda
