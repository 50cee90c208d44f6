// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "worker/forward/visual_input.h"
#include "worker/forward/workspace.h"
#include "worker/graph/graph.h"
#include "worker/model/checkpoint.h"
#include "worker/tensor/backend.h"

namespace tyllm::forward {

/// float32 weights of one block by the names that its nodes use (a module name for a linear layer's
/// matrix, tensor names otherwise). The only weights in memory while a model runs.
using BlockWeights = std::map<std::string, tensor::Matrix, std::less<>>;

/// Reads (and dequantizes) what the nodes of `block` need. The file's pages are given back.
Result<BlockWeights> LoadBlock(const model::Checkpoint& checkpoint, const graph::Block& block);
/// The same, where `backend` computes.
Result<BlockWeights> LoadBlock(tensor::Backend& backend, const model::Checkpoint& checkpoint,
                               const graph::Block& block);

/// Token ids of one or more sequences, one after another.
struct TokenBatch {
  std::int64_t sequences = 0;
  std::int64_t length = 0;        ///< of each, unless `lengths` says otherwise
  std::vector<std::int32_t> ids;  ///< of all sequences
  /// Where images or videos stand in the sequences; nullptr: text.
  std::shared_ptr<const VisualInput> visual = nullptr;
  /// Of sequences that are not equally long, one by one; empty where they are.
  std::vector<std::int64_t> lengths = {};

  const tensor::Matrix* rotations() const { return visual ? &visual->rotations : nullptr; }
};

/// Keys (rotated) and values of the tokens that a sequence has so far in one layer.
struct LayerCache {
  tensor::Matrix keys;
  tensor::Matrix values;
};

/// Called after a node ran, with its inputs and its output. References die with the call. For the
/// embedding, whose input is token ids, `inputs` is empty.
using Observer =
    std::function<void(const graph::Node& node, std::span<const tensor::Matrix* const> inputs,
                       const tensor::Matrix& output)>;

/// Runs blocks of a graph on a backend; what comes out is in the backend's memory. Not thread-safe.
/// Intermediate values live only as long as a later node of the block reads them; their memory is
/// used again by the next call with as many rows.
class BlockRunner {
 public:
  BlockRunner(tensor::Backend& backend, const model::ModelShape& shape);
  /// With other rotary frequencies than the shape's, [head_size / 2].
  BlockRunner(tensor::Backend& backend, const model::ModelShape& shape,
              std::vector<float> frequencies);

  tensor::Backend& backend() { return backend_; }

  /// Gives back the memory that is kept for the next call.
  void ReleaseMemory() { workspace_.Clear(); }

  /// Hidden states [n, width] of the tokens, those of images in their places. Ids out of range are
  /// kInvalidArgument naming the id.
  Result<tensor::Matrix> RunEmbedding(const graph::Block& block, const BlockWeights& weights,
                                      const TokenBatch& batch);
  /// A decoder layer or the head. `hidden` has sequences * length rows; positions start at 0 in
  /// each sequence, unless `rotations` (VisualInput) says how each row is turned.
  Result<tensor::Matrix> Run(const graph::Block& block, const BlockWeights& weights,
                             const tensor::Matrix& hidden, std::int64_t sequences,
                             const Observer& observer = {},
                             const tensor::Matrix* rotations = nullptr);
  /// The same with sequences of these lengths, one after another.
  Result<tensor::Matrix> Run(const graph::Block& block, const BlockWeights& weights,
                             const tensor::Matrix& hidden, std::span<const std::int64_t> lengths,
                             const Observer& observer = {});
  /// The next tokens of one sequence: they see the tokens of `cache` and are added to it.
  Result<tensor::Matrix> Continue(const graph::Block& block, const BlockWeights& weights,
                                  const tensor::Matrix& hidden, LayerCache& cache,
                                  const tensor::Matrix* rotations = nullptr);
  /// The next tokens of `sequences` sequences that begin alike: each sees the tokens of
  /// `beginning`, which stays as it is, and its own.
  Result<tensor::Matrix> Branch(const graph::Block& block, const BlockWeights& weights,
                                const tensor::Matrix& hidden, std::int64_t sequences,
                                const LayerCache& beginning);

 private:
  struct Call;

  Result<tensor::Matrix> Execute(Call& call);
  Status RunNode(Call& call, const graph::Node& node, tensor::Matrix& out);
  Status Rotate(Call& call, tensor::Matrix& out);
  void Attend(Call& call, std::span<const tensor::Matrix* const> inputs, tensor::Matrix& out);
  void AttendByLength(std::span<const std::int64_t> lengths,
                      std::span<const tensor::Matrix* const> inputs, tensor::Matrix& out);

  tensor::Backend& backend_;
  model::ModelShape shape_;
  std::vector<float> frequencies_;
  Workspace workspace_;
};

}  // namespace tyllm::forward
