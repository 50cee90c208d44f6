// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/attention.h"
#include "worker/cuda/kernels/device_math.cuh"

namespace tyllm::cuda {

namespace {

/// Queries of a block and keys of a step, and the threads that share them: each computes 4 x 4
/// scores, and 4 queries' outputs in every sixteenth column.
constexpr int kTile = static_cast<int>(kQueryTile);
constexpr int kSide = 16;
constexpr int kThreads = kSide * kSide;
constexpr int kEach = kTile / kSide;

struct Rows {
  const float* data;
  std::int64_t stride;
  std::int64_t count;  ///< rows there are; those behind them read as 0
};

/// kTile rows of a head into shared memory, `width` floats from row to row.
template <int kHead>
__device__ void LoadTile(Rows rows, std::int64_t first, int head_size, float* tile) {
  constexpr int kStride = kHead + 1;
  for (int i = threadIdx.x; i < kTile * kHead; i += kThreads) {
    const int r = i / kHead;
    const int c = i % kHead;
    const bool is_there = c < head_size && first + r < rows.count;
    tile[r * kStride + c] = is_there ? rows.data[(first + r) * rows.stride + c] : 0.0F;
  }
}

/// Over the 16 threads that share queries.
__device__ float SideMax(float x) {
  for (int step = kSide / 2; step > 0; step /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  }
  return x;
}

__device__ float SideSum(float x) {
  for (int step = kSide / 2; step > 0; step /= 2) {
    x += __shfl_xor_sync(kAllLanes, x, step);
  }
  return x;
}

/// Rows that a block works on.
struct BlockRows {
  std::int64_t q_row;    ///< row of q that query 0 is
  std::int64_t kv_row;   ///< row of k and v that key 0 is
  std::int64_t first;    ///< query
  std::int64_t length;   ///< queries there are
  std::int64_t keys;     ///< keys there are
  std::int64_t history;  ///< query i sees the keys up to history + i
};

__device__ BlockRows CausalRows(const AttentionCall& call) {
  const std::int64_t sequence = blockIdx.z;
  const std::int64_t keys = call.history + call.length;
  const std::int64_t first = static_cast<std::int64_t>(gridDim.x - 1 - blockIdx.x) * kTile;
  return {sequence * call.length, sequence * keys, first, call.length, keys, call.history};
}

__device__ BlockRows RowsOfRun(RunTile tile) {
  const std::int64_t length = tile.end - tile.begin;
  return {tile.begin, tile.begin, tile.first - tile.begin, length, length, length};
}

/// `tiles` of nullptr: causal.
template <int kHead>
__global__ void __launch_bounds__(kThreads)
    AttentionKernel(AttentionCall call, const RunTile* tiles, const float* q, const float* k,
                    const float* v, float* out) {
  constexpr int kStride = kHead + 1;
  constexpr int kColumns = kHead / kSide;
  extern __shared__ float shared[];
  float* q_tile = shared;                      // [kTile, kStride]
  float* kv_tile = q_tile + kTile * kStride;   // [kTile, kStride]
  float* weights = kv_tile + kTile * kStride;  // [kTile, kTile + 1]
  const int head_size = static_cast<int>(call.head_size);
  const std::int64_t head = blockIdx.y;
  const BlockRows block = tiles == nullptr ? CausalRows(call) : RowsOfRun(tiles[blockIdx.x]);
  const std::int64_t first = block.first;
  const std::int64_t q_stride = call.heads * head_size;
  const std::int64_t kv_stride = call.kv_heads * head_size;
  const std::int64_t kv_head = head / (call.heads / call.kv_heads);
  const Rows q_rows{q + block.q_row * q_stride + head * head_size, q_stride, block.length};
  const std::int64_t kv_at = block.kv_row * kv_stride + kv_head * head_size;
  const int row = threadIdx.x / kSide * kEach;
  const int side = threadIdx.x % kSide;
  const float factor = 1.0F / sqrtf(static_cast<float>(head_size));

  float sums[kEach] = {};
  float most[kEach];
  float result[kEach][kColumns] = {};
  for (int i = 0; i < kEach; ++i) {
    most[i] = -INFINITY;
  }
  LoadTile<kHead>(q_rows, first, head_size, q_tile);
  const std::int64_t last_query = min(first + kTile, block.length) - 1;
  const std::int64_t last_key = min(block.history + last_query, block.keys - 1);
  for (std::int64_t step = 0; step <= last_key; step += kTile) {
    __syncthreads();
    LoadTile<kHead>({k + kv_at, kv_stride, block.keys}, step, head_size, kv_tile);
    __syncthreads();
    float scores[kEach][kEach] = {};
#pragma unroll 8
    for (int c = 0; c < kHead; ++c) {
      float a[kEach];
      float b[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        a[i] = q_tile[(row + i) * kStride + c];
        b[i] = kv_tile[(side + i * kSide) * kStride + c];
      }
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j) {
          scores[i][j] += a[i] * b[j];
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      // the last key it sees
      const std::int64_t seen = min(block.history + first + row + i, block.keys - 1);
      float largest = most[i];
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const bool sees = step + side + j * kSide <= seen;
        scores[i][j] = sees ? scores[i][j] * factor : -INFINITY;
        largest = fmaxf(largest, scores[i][j]);
      }
      largest = SideMax(largest);  // finite: every query sees key 0
      const float shrink = expf(most[i] - largest);
      float sum = 0.0F;
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const float weight = expf(scores[i][j] - largest);
        weights[(row + i) * (kTile + 1) + side + j * kSide] = weight;
        sum += weight;
      }
      sums[i] = sums[i] * shrink + SideSum(sum);
      most[i] = largest;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        result[i][c] *= shrink;
      }
    }
    __syncthreads();
    LoadTile<kHead>({v + kv_at, kv_stride, block.keys}, step, head_size, kv_tile);
    __syncthreads();
#pragma unroll 4
    for (int key = 0; key < kTile; ++key) {
      float w[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        w[i] = weights[(row + i) * (kTile + 1) + key];
      }
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const float value = kv_tile[key * kStride + side + c * kSide];
#pragma unroll
        for (int i = 0; i < kEach; ++i) {
          result[i][c] += w[i] * value;
        }
      }
    }
  }
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t query = first + row + i;
    if (query >= block.length) {
      return;
    }
    float* to = out + (block.q_row + query) * q_stride + head * head_size;
    for (int c = 0; c < kColumns; ++c) {
      if (side + c * kSide < head_size) {
        to[side + c * kSide] = result[i][c] / sums[i];
      }
    }
  }
}

template <int kHead>
void Launch(dim3 grid, const AttentionCall& call, const RunTile* tiles, const float* q,
            const float* k, const float* v, float* out, cudaStream_t stream) {
  constexpr int kBytes =
      (2 * kTile * (kHead + 1) + kTile * (kTile + 1)) * static_cast<int>(sizeof(float));
  cudaFuncSetAttribute(AttentionKernel<kHead>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  AttentionKernel<kHead><<<grid, kThreads, kBytes, stream>>>(call, tiles, q, k, v, out);
}

void LaunchByHead(dim3 grid, const AttentionCall& call, const RunTile* tiles, const float* q,
                  const float* k, const float* v, float* out, cudaStream_t stream) {
  if (call.head_size <= 32) {
    Launch<32>(grid, call, tiles, q, k, v, out, stream);
  } else if (call.head_size <= 64) {
    Launch<64>(grid, call, tiles, q, k, v, out, stream);
  } else if (call.head_size <= 128) {
    Launch<128>(grid, call, tiles, q, k, v, out, stream);
  } else {
    Launch<256>(grid, call, tiles, q, k, v, out, stream);
  }
}

}  // namespace

void Attention(const AttentionCall& call, const float* q, const float* k, const float* v,
               float* out, cudaStream_t stream) {
  if (call.length == 0 || call.sequences == 0) {
    return;
  }
  const dim3 grid(static_cast<unsigned>(Blocks(call.length, kTile)),
                  static_cast<unsigned>(call.heads), static_cast<unsigned>(call.sequences));
  LaunchByHead(grid, call, nullptr, q, k, v, out, stream);
}

void AttentionWithin(const RunTile* tiles, std::int64_t count, std::int64_t heads,
                     std::int64_t head_size, const float* q, const float* k, const float* v,
                     float* out, cudaStream_t stream) {
  if (count == 0) {
    return;
  }
  const AttentionCall call{0, 0, 0, heads, heads, head_size};
  const dim3 grid(static_cast<unsigned>(count), static_cast<unsigned>(heads));
  LaunchByHead(grid, call, tiles, q, k, v, out, stream);
}

}  // namespace tyllm::cuda
