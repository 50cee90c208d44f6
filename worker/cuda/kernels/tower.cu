// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/tower.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;

template <typename F>
__global__ void ForEachKernel(std::int64_t n, F f) {
  for (std::int64_t i = GlobalThread(); i < n; i += AllThreads()) {
    f(i);
  }
}

template <typename F>
void ForEach(std::int64_t n, cudaStream_t stream, F f) {
  if (n > 0) {
    ForEachKernel<<<Blocks(n, 4 * kThreads), kThreads, 0, stream>>>(n, f);
  }
}

__global__ void LayerNormKernel(const float* x, std::int64_t width, const float* weight,
                                const float* bias, float epsilon, float* out) {
  const float* from = x + static_cast<std::int64_t>(blockIdx.x) * width;
  float* to = out + static_cast<std::int64_t>(blockIdx.x) * width;
  const auto count = static_cast<float>(width);
  float sum = 0.0F;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    sum += from[i];
  }
  const float mean = BlockSum(sum) / count;
  float squares = 0.0F;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const float off = from[i] - mean;
    squares += off * off;
  }
  const float factor = 1.0F / sqrtf(BlockSum(squares) / count + epsilon);
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    to[i] = (from[i] - mean) * factor * weight[i] + bias[i];
  }
}

/// x / (1 + exp(-y)), also where exp overflows.
__device__ float SigmoidTimes(float x, float y) {
  return x / (1.0F + expf(fminf(-y, 88.0F)));
}

}  // namespace

void LayerNorm(const float* x, std::int64_t rows, std::int64_t width, const float* weight,
               const float* bias, float epsilon, float* out, cudaStream_t stream) {
  if (rows > 0) {
    LayerNormKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, width, weight, bias,
                                                                          epsilon, out);
  }
}

void ErfGelu(const float* x, std::int64_t n, float* out, cudaStream_t stream) {
  constexpr float kRootOfHalf = 0.70710678118654752F;
  ForEach(n, stream, [=] __device__(std::int64_t i) {
    out[i] = 0.5F * x[i] * (1.0F + erff(x[i] * kRootOfHalf));
  });
}

void TanhGelu(const float* x, std::int64_t n, float* out, cudaStream_t stream) {
  // tanh(y) = 2 / (1 + exp(-2 y)) - 1
  constexpr float kSlope = 2.0F * 0.7978845608028654F;
  ForEach(n, stream, [=] __device__(std::int64_t i) {
    const float y = x[i];
    out[i] = SigmoidTimes(y, kSlope * (y + 0.044715F * y * y * y));
  });
}

void QuickGelu(const float* x, std::int64_t n, float* out, cudaStream_t stream) {
  constexpr float kSlope = 1.702F;
  ForEach(n, stream,
          [=] __device__(std::int64_t i) { out[i] = SigmoidTimes(x[i], kSlope * x[i]); });
}

void MixRows(const float* table, const std::int32_t* rows, const float* weights, std::int64_t each,
             std::int64_t count, std::int64_t columns, float* out, cudaStream_t stream) {
  ForEach(count * columns, stream, [=] __device__(std::int64_t i) {
    const std::int64_t first = i / columns * each;
    float sum = 0.0F;
    for (std::int64_t j = first; j < first + each; ++j) {
      sum += weights[j] * table[rows[j] * columns + i % columns];
    }
    out[i] = sum;
  });
}

}  // namespace tyllm::cuda
