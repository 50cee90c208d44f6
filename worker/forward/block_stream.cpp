// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/block_stream.h"

#include <utility>

namespace tyllm::forward {

BlockStream::BlockStream(const model::Checkpoint& checkpoint,
                         std::vector<const graph::Block*> blocks)
    : checkpoint_(checkpoint), blocks_(std::move(blocks)) {
  StartLoading();
}

BlockStream::BlockStream(tensor::Backend& backend, const model::Checkpoint& checkpoint,
                         std::vector<const graph::Block*> blocks)
    : backend_(&backend), checkpoint_(checkpoint), blocks_(std::move(blocks)) {
  StartLoading();
}

Result<BlockWeights> BlockStream::Next() {
  TYLLM_CHECK(upcoming() != nullptr);
  Result<BlockWeights> weights = loading_.get();
  ++next_;
  if (weights.ok()) {
    StartLoading();
  }
  return weights;
}

void BlockStream::StartLoading() {
  if (const graph::Block* block = upcoming()) {
    loading_ =
        std::async(std::launch::async, [backend = backend_, &checkpoint = checkpoint_, block] {
          return backend != nullptr ? LoadBlock(*backend, checkpoint, *block)
                                    : LoadBlock(checkpoint, *block);
        });
  }
}

}  // namespace tyllm::forward
