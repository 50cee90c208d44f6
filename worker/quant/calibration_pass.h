// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_quantizer.h"

namespace tyllm::quant {

/// Carries the hidden states of all calibration windows from layer to layer, or from stage to stage
/// of layers (layer_stages.h), of the float model (docs/adr/0051), and those of some batches
/// through the quantized model as well (docs/adr/0068). Memory: tokens * width floats for each of
/// the two, and one batch's values inside a stage.
///
/// With several machines (GPUs of one kind) batches take turns on them, each batch always on the
/// same one. What each batch adds to the statistics is computed apart and added in the order of the
/// batches on the first machine, so the statistics do not depend on how many there are: not in one
/// bit (docs/adr/0064).
class CalibrationPass {
 public:
  struct Options {
    double image_weight = 1.0;       ///< what a token of an image counts for
    bool follows_quantized = false;  ///< some batches
  };

  /// At least one machine; they outlive this.
  CalibrationPass(std::vector<LayerMachine> machines, const model::ModelShape& shape,
                  Options options);

  /// A block's weights on every machine, in their order.
  using Weights = std::span<const forward::BlockWeights>;

  /// Turns the tokens into hidden states, which must be finite.
  Status Start(const graph::Block& embedding, const model::Checkpoint& checkpoint,
               std::vector<forward::TokenBatch> batches);
  /// Runs the next stage over all windows and says what its linears' inputs are like, and how far
  /// the quantized model has drifted there, on the first machine. `after_batch(tokens done)` may be
  /// empty.
  Result<LayerStatistics> RunStage(const graph::Block& stage, Weights weights,
                                   const std::function<void(std::int64_t)>& after_batch);
  /// Runs the next stage over all windows, and nothing else.
  Status PassStage(const graph::Block& stage, Weights weights);
  /// After RunStage or PassStage: the same stage of the quantized model, over the batches that are
  /// followed through it.
  Status Follow(const graph::Block& stage, Weights weights);
  /// After the last stage of a layer.
  void EndLayer();

  std::int64_t tokens() const { return tokens_; }

  bool follows_quantized() const { return !followed_.empty(); }

 private:
  struct Batch {
    std::int64_t sequences = 0;
    std::vector<std::int64_t> lengths;  ///< of the sequences, where they differ
    tensor::Matrix hidden;
    std::shared_ptr<const forward::VisualInput> visual = nullptr;  ///< images in it
    tensor::Matrix drifted = {};  ///< of the quantized model, where it is followed
  };

  /// What is gathered of a stage.
  struct Sums {
    StatisticsCollector statistics;
    DriftCollector drift;
  };

  Sums MakeSums(const graph::Block& stage, const LayerMachine& machine) const;
  void ChooseFollowed();
  void ReleaseMemory();
  bool IsFollowed(std::size_t batch) const;
  void CountBatch(std::size_t batch, DriftCollector& drift) const;
  Result<tensor::Matrix> Run(const graph::Block& stage, std::size_t machine, Weights weights,
                             const Batch& batch, const tensor::Matrix& hidden,
                             const forward::Observer& observer);
  Status RunBatch(const graph::Block& stage, std::size_t machine, Weights weights, Batch& batch,
                  Sums& sums);
  /// The batches [first, last), one a machine, side by side.
  Status RunRound(const graph::Block& stage, Weights weights, std::size_t first, std::size_t last,
                  Sums& sums);

  std::vector<LayerMachine> machines_;
  const model::ModelShape& shape_;
  Options options_;
  std::vector<forward::BlockRunner> runners_;  ///< one a machine
  std::vector<Batch> batches_;
  std::vector<std::size_t> followed_;  ///< batches, ascending
  bool has_drifted_ = false;           ///< some stage was quantized
  std::int64_t layer_ = 0;             ///< number of the next layer
  std::int64_t tokens_ = 0;
};

}  // namespace tyllm::quant
