// SPDX-License-Identifier: Apache-2.0
// What several kernels share.
#pragma once

#include <cstdint>

namespace tyllm::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffU;

inline int Blocks(std::int64_t work, std::int64_t per_block) {
  return static_cast<int>((work + per_block - 1) / per_block);
}

__device__ inline std::int64_t GlobalThread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline std::int64_t AllThreads() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

/// Sums over the warp, the same in every lane and on every run.
template <typename T>
__device__ inline T WarpSum(T x) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    x += __shfl_xor_sync(kAllLanes, x, step);
  }
  return x;
}

__device__ inline float WarpMax(float x) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  }
  return x;
}

__device__ inline float WarpMin(float x) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    x = fminf(x, __shfl_xor_sync(kAllLanes, x, step));
  }
  return x;
}

/// Sum over the block (of whole warps, at most 1024 threads), given to all threads.
template <typename T>
__device__ inline T BlockSum(T x) {
  __shared__ T parts[kWarp];
  x = WarpSum(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) {
    parts[threadIdx.x / kWarp] = x;
  }
  __syncthreads();
  T sum = 0;
  for (unsigned w = 0; w < blockDim.x / kWarp; ++w) {
    sum += parts[w];
  }
  return sum;
}

__device__ inline float BlockMax(float x) {
  __shared__ float parts[kWarp];
  x = WarpMax(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) {
    parts[threadIdx.x / kWarp] = x;
  }
  __syncthreads();
  float most = parts[0];
  for (unsigned w = 1; w < blockDim.x / kWarp; ++w) {
    most = fmaxf(most, parts[w]);
  }
  return most;
}

}  // namespace tyllm::cuda
