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

/// The widest head that the kernel takes.
constexpr std::int64_t kWidestHead = 256;

/// out = causal softmax(q k^T / sqrt(head_size)) v, one head at a time. Scores live in shared
/// memory, 64 queries by 64 keys a block, with running maxima and sums (online softmax,
/// arXiv 1805.02867). float32 throughout.
void Attention(const AttentionCall& call, const float* q, const float* k, const float* v,
               float* out, cudaStream_t stream);

}  // namespace tyllm::cuda
