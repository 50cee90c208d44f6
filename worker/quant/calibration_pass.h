// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_quantizer.h"

namespace tyllm::quant {

/// Carries the hidden states of all calibration windows from layer to layer of the float model
/// (docs/adr: a layer sees the float model's inputs). Memory: tokens * width floats, and one
/// batch's values inside a layer.
class CalibrationPass {
 public:
  CalibrationPass(tensor::Backend& backend, LayerKernels& kernels, const model::ModelShape& shape);

  /// Turns the tokens into hidden states. `weights` are the embedding's.
  Status Start(const graph::Block& embedding, const forward::BlockWeights& weights,
               std::vector<forward::TokenBatch> batches);
  /// Runs the next layer over all windows and says what its linears' inputs are like.
  /// `after_batch(tokens done)` may be empty.
  Result<LayerStatistics> RunLayer(const graph::Block& layer, const forward::BlockWeights& weights,
                                   const std::function<void(std::int64_t)>& after_batch);

  std::int64_t tokens() const { return tokens_; }

 private:
  struct Batch {
    std::int64_t sequences = 0;
    tensor::Matrix hidden;
  };

  tensor::Backend& backend_;
  LayerKernels& kernels_;
  const model::ModelShape& shape_;
  forward::BlockRunner runner_;
  std::vector<Batch> batches_;
  std::int64_t tokens_ = 0;
};

}  // namespace tyllm::quant
