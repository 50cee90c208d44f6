// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tyllm::cuda {

/// See tensor::AttentionShape.
struct AttentionCall {
  std::int64_t sequences = 0;
  std::int64_t length = 0;
  std::int64_t history = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
};

/// Queries of one block.
constexpr std::int64_t kQueryTile = 64;

/// Up to kQueryTile rows from `first` on of the run of rows [begin, end), which all see each other.
struct RunTile {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  std::int32_t first = 0;
};

/// The widest head that the kernel takes.
constexpr std::int64_t kWidestHead = 256;

/// out = causal softmax(q k^T / sqrt(head_size)) v, one head at a time. Scores live in shared
/// memory, 64 queries by 64 keys a block, with running maxima and sums (online softmax,
/// arXiv 1805.02867). float32 throughout.
void Attention(const AttentionCall& call, const float* q, const float* k, const float* v,
               float* out, cudaStream_t stream);

/// The same within runs, where every row sees all of its run; `tiles` are of the device and cover
/// all rows. q, k, v and out are [rows, heads * head_size].
void AttentionWithin(const RunTile* tiles, std::int64_t count, std::int64_t heads,
                     std::int64_t head_size, const float* q, const float* k, const float* v,
                     float* out, cudaStream_t stream);

}  // namespace tyllm::cuda
