// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <future>
#include <optional>
#include <vector>

#include "worker/forward/block_runner.h"

namespace tyllm::forward {

/// Weights of one block after another. The next block is read on another thread while the caller
/// computes with the one that it got, so at most two are in memory. `checkpoint` and the blocks
/// outlive the stream.
class BlockStream {
 public:
  BlockStream(const model::Checkpoint& checkpoint, std::vector<const graph::Block*> blocks);
  /// Gives the weights where `backend` computes. It outlives the stream.
  BlockStream(tensor::Backend& backend, const model::Checkpoint& checkpoint,
              std::vector<const graph::Block*> blocks);

  /// The block that Next gives; nullptr after the last.
  const graph::Block* upcoming() const { return next_ < blocks_.size() ? blocks_[next_] : nullptr; }

  /// Weights of upcoming(). Drop the ones before first.
  Result<BlockWeights> Next();

 private:
  void StartLoading();

  tensor::Backend* backend_ = nullptr;  ///< nullptr: weights stay in the host's memory
  const model::Checkpoint& checkpoint_;
  std::vector<const graph::Block*> blocks_;
  std::size_t next_ = 0;
  std::future<Result<BlockWeights>> loading_;  ///< its destructor waits
};

}  // namespace tyllm::forward
