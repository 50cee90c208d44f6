// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_pass.h"

#include <utility>

namespace tyllm::quant {

CalibrationPass::CalibrationPass(tensor::Backend& backend, LayerKernels& kernels,
                                 const model::ModelShape& shape)
    : backend_(backend), kernels_(kernels), shape_(shape), runner_(backend, shape) {}

Status CalibrationPass::Start(const graph::Block& embedding, const forward::BlockWeights& weights,
                              std::vector<forward::TokenBatch> batches) {
  for (const forward::TokenBatch& batch : batches) {
    TYLLM_ASSIGN(tensor::Matrix hidden, runner_.RunEmbedding(embedding, weights, batch));
    tokens_ += hidden.rows();
    batches_.push_back({batch.sequences, std::move(hidden)});
  }
  return OkStatus();
}

Result<LayerStatistics> CalibrationPass::RunLayer(
    const graph::Block& layer, const forward::BlockWeights& weights,
    const std::function<void(std::int64_t)>& after_batch) {
  StatisticsCollector collector(backend_, kernels_, FindScalingGroups(layer, shape_));
  const forward::Observer observe = [&](const graph::Node& node,
                                        std::span<const tensor::Matrix* const> inputs,
                                        const tensor::Matrix&) { collector.Observe(node, inputs); };
  std::int64_t done = 0;
  for (Batch& batch : batches_) {
    TYLLM_ASSIGN(batch.hidden, runner_.Run(layer, weights, batch.hidden, batch.sequences, observe));
    done += batch.hidden.rows();
    if (after_batch) {
      after_batch(done);
    }
  }
  return LayerStatistics{collector.TakeInputs(), collector.TakeGates()};
}

}  // namespace tyllm::quant
