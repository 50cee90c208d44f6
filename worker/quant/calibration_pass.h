// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_quantizer.h"

namespace tyllm::quant {

/// Carries the hidden states of all calibration windows from layer to layer of the float model
/// (docs/adr: a layer sees the float model's inputs). Memory: tokens * width floats, and one
/// batch's values inside a layer.
///
/// With several machines (GPUs of one kind) batches take turns on them, each batch always on the
/// same one. What each batch adds to the statistics is computed apart and added in the order of the
/// batches on the first machine, so the statistics do not depend on how many there are: not in one
/// bit (docs/adr/0064).
class CalibrationPass {
 public:
  /// At least one machine; they outlive this. A token of an image counts `image_weight` times.
  CalibrationPass(std::vector<LayerMachine> machines, const model::ModelShape& shape,
                  double image_weight = 1.0);

  /// A block's weights on every machine, in their order.
  using Weights = std::span<const forward::BlockWeights>;

  /// Turns the tokens into hidden states.
  Status Start(const graph::Block& embedding, const model::Checkpoint& checkpoint,
               std::vector<forward::TokenBatch> batches);
  /// Runs the next layer over all windows and says what its linears' inputs are like, on the first
  /// machine. `after_batch(tokens done)` may be empty.
  Result<LayerStatistics> RunLayer(const graph::Block& layer, Weights weights,
                                   const std::function<void(std::int64_t)>& after_batch);

  /// Runs the next layer over all windows, and nothing else.
  Status PassLayer(const graph::Block& layer, Weights weights);

  std::int64_t tokens() const { return tokens_; }

 private:
  struct Batch {
    std::int64_t sequences = 0;
    std::vector<std::int64_t> lengths;  ///< of the sequences, where they differ
    tensor::Matrix hidden;
    std::shared_ptr<const forward::VisualInput> visual = nullptr;  ///< images in it
  };

  Result<tensor::Matrix> Run(const graph::Block& layer, std::size_t machine, Weights weights,
                             const Batch& batch, const forward::Observer& observer);
  Status RunBatch(const graph::Block& layer, std::size_t machine, Weights weights, Batch& batch,
                  StatisticsCollector& collector);
  /// The batches [first, last), one a machine, side by side.
  Status RunRound(const graph::Block& layer, Weights weights, std::size_t first, std::size_t last,
                  StatisticsCollector& collector);

  std::vector<LayerMachine> machines_;
  const model::ModelShape& shape_;
  double image_weight_;
  std::vector<forward::BlockRunner> runners_;  ///< one a machine
  std::vector<Batch> batches_;
  std::int64_t layer_ = 0;  ///< number of the next layer
  std::int64_t tokens_ = 0;
};

}  // namespace tyllm::quant
