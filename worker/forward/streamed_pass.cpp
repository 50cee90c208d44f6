// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/streamed_pass.h"

#include <algorithm>
#include <utility>

#include "worker/forward/block_stream.h"
#include "worker/forward/embedding_rows.h"

namespace tyllm::forward {

Result<std::vector<tensor::Matrix>> RunBody(const Model& model, BlockRunner& runner,
                                            std::span<const TokenBatch> batches,
                                            const AfterBlock& after) {
  std::vector<tensor::Matrix> hidden(batches.size());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    TYLLM_ASSIGN(hidden[i],
                 EmbedTokens(runner, model.checkpoint, model.graph.embedding, batches[i]));
    if (after) {
      after(0, static_cast<std::int64_t>(i), hidden[i]);
    }
  }
  BlockStream stream(runner.backend(), model.checkpoint, LayersOf(model));
  for (std::int64_t number = 1; stream.upcoming() != nullptr; ++number) {
    const graph::Block& block = *stream.upcoming();
    TYLLM_ASSIGN(const BlockWeights weights, stream.Next());
    for (std::size_t i = 0; i < batches.size(); ++i) {
      TYLLM_ASSIGN(hidden[i], runner.Run(block, weights, hidden[i], batches[i].sequences, {},
                                         batches[i].rotations()));
      if (after) {
        after(number, static_cast<std::int64_t>(i), hidden[i]);
      }
      if (batches[i].visual) {
        batches[i].visual->AddAfterLayer(number - 1, runner.backend(), hidden[i]);
      }
    }
  }
  return hidden;
}

Result<Head> Head::Load(const Model& model) {
  TYLLM_ASSIGN(BlockWeights weights, LoadBlock(model.checkpoint, model.graph.head));
  return Head(model.graph.head, std::move(weights));
}

Result<Head> Head::Load(const Model& model, tensor::Backend& backend) {
  TYLLM_ASSIGN(BlockWeights weights, LoadBlock(backend, model.checkpoint, model.graph.head));
  return Head(model.graph.head, std::move(weights));
}

std::int64_t Head::RowsAtOnce() const {
  constexpr std::int64_t kFloats = 16 << 20;
  constexpr std::int64_t kMost =
      256;  // a few MiB of logits of a small vocabulary stay in the cache
  const std::int64_t vocabulary = block_->values[static_cast<std::size_t>(block_->output)].columns;
  return std::clamp<std::int64_t>(kFloats / vocabulary, 16, kMost);
}

Result<tensor::Matrix> Head::Logits(BlockRunner& runner, const tensor::Matrix& hidden,
                                    std::int64_t first, std::int64_t count,
                                    const Observer& observer) const {
  tensor::Matrix rows;
  runner.backend().Copy(hidden.rows(first, count), rows);
  return runner.Run(*block_, weights_, rows, 1, observer);
}

}  // namespace tyllm::forward
