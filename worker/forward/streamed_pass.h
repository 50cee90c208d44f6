// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/forward/model.h"

namespace tyllm::forward {

/// Called after block `block` of the body (0: the embedding, then the layers) ran over batch
/// `batch`, with the hidden states that it made.
using AfterBlock =
    std::function<void(std::int64_t block, std::int64_t batch, const tensor::Matrix& hidden)>;

/// Runs the embedding and all layers over `batches`, block by block, so that each block's weights
/// are read once. Hidden states of all batches stay in memory: tokens * width floats. Gives the
/// last layer's, one matrix a batch.
Result<std::vector<tensor::Matrix>> RunBody(const Model& model, BlockRunner& runner,
                                            std::span<const TokenBatch> batches,
                                            const AfterBlock& after = {});

/// The final norm and the projection to the vocabulary, with its weights in memory.
class Head {
 public:
  static Result<Head> Load(const Model& model);
  /// The weights where `backend` computes.
  static Result<Head> Load(const Model& model, tensor::Backend& backend);

  /// Tokens to ask logits of at once, so that these stay within 64 MiB, however large the
  /// vocabulary (but at least 16, and at most 256).
  std::int64_t RowsAtOnce() const;

  /// Logits [count, vocabulary] of the rows [first, first + count) of `hidden`.
  Result<tensor::Matrix> Logits(BlockRunner& runner, const tensor::Matrix& hidden,
                                std::int64_t first, std::int64_t count,
                                const Observer& observer = {}) const;

 private:
  Head(const graph::Block& block, BlockWeights weights)
      : block_(&block), weights_(std::move(weights)) {}

  const graph::Block* block_;  ///< of the model, which outlives this
  BlockWeights weights_;
};

}  // namespace tyllm::forward
