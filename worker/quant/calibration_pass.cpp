// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_pass.h"

#include <algorithm>
#include <future>
#include <utility>

#include "worker/forward/embedding_rows.h"

namespace tyllm::quant {

CalibrationPass::CalibrationPass(std::vector<LayerMachine> machines, const model::ModelShape& shape,
                                 double image_weight)
    : machines_(std::move(machines)), shape_(shape), image_weight_(image_weight) {
  TYLLM_CHECK(!machines_.empty());
  for (const LayerMachine& machine : machines_) {
    runners_.emplace_back(machine.backend, shape);
  }
}

Status CalibrationPass::Start(const graph::Block& embedding, const model::Checkpoint& checkpoint,
                              std::vector<forward::TokenBatch> batches) {
  for (const forward::TokenBatch& batch : batches) {
    const std::size_t machine = batches_.size() % machines_.size();
    TYLLM_ASSIGN(tensor::Matrix hidden,
                 forward::EmbedTokens(runners_[machine], checkpoint, embedding, batch));
    tokens_ += hidden.rows();
    batches_.push_back({batch.sequences, batch.lengths, std::move(hidden), batch.visual});
  }
  return OkStatus();
}

Status CalibrationPass::RunBatch(const graph::Block& layer, std::size_t machine, Weights weights,
                                 Batch& batch, StatisticsCollector& collector) {
  collector.SetImageRows({batch.visual ? std::span<const std::int64_t>(batch.visual->rows)
                                       : std::span<const std::int64_t>(),
                          image_weight_});
  const forward::Observer observe = [&](const graph::Node& node,
                                        std::span<const tensor::Matrix* const> inputs,
                                        const tensor::Matrix&) { collector.Observe(node, inputs); };
  TYLLM_ASSIGN(batch.hidden, Run(layer, machine, weights, batch, observe));
  return OkStatus();
}

Status CalibrationPass::RunRound(const graph::Block& layer, Weights weights, std::size_t first,
                                 std::size_t last, StatisticsCollector& collector) {
  const std::vector<ScalingGroup> groups = FindScalingGroups(layer, shape_);
  std::vector<StatisticsCollector> parts;
  for (std::size_t i = first; i < last; ++i) {
    const LayerMachine& machine = machines_[i - first];
    parts.emplace_back(machine.backend, machine.kernels, groups);
  }
  std::vector<std::future<Status>> running;
  for (std::size_t i = first; i < last; ++i) {
    running.push_back(std::async(std::launch::async, [&, i] {
      return RunBatch(layer, i - first, weights, batches_[i], parts[i - first]);
    }));
  }
  for (std::future<Status>& run : running) {
    run.wait();
  }
  for (std::size_t i = 0; i < running.size(); ++i) {
    TYLLM_TRY(running[i].get());
    collector.Add(std::move(parts[i]));
  }
  return OkStatus();
}

Result<LayerStatistics> CalibrationPass::RunLayer(
    const graph::Block& layer, Weights weights,
    const std::function<void(std::int64_t)>& after_batch) {
  TYLLM_CHECK(weights.size() == machines_.size());
  StatisticsCollector collector(machines_.front().backend, machines_.front().kernels,
                                FindScalingGroups(layer, shape_));
  std::int64_t done = 0;
  for (std::size_t first = 0; first < batches_.size(); first += machines_.size()) {
    const std::size_t last = std::min(first + machines_.size(), batches_.size());
    if (machines_.size() == 1) {
      TYLLM_TRY(RunBatch(layer, 0, weights, batches_[first], collector));
    } else {
      TYLLM_TRY(RunRound(layer, weights, first, last, collector));
    }
    for (std::size_t i = first; i < last; ++i) {
      done += batches_[i].hidden.rows();
    }
    if (after_batch) {
      after_batch(done);
    }
  }
  for (forward::BlockRunner& runner : runners_) {
    runner.ReleaseMemory();  // quantizing needs the room
  }
  ++layer_;
  return LayerStatistics{collector.TakeInputs(), collector.TakeGates()};
}

Status CalibrationPass::PassLayer(const graph::Block& layer, Weights weights) {
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    TYLLM_ASSIGN(batches_[i].hidden, Run(layer, i % machines_.size(), weights, batches_[i], {}));
  }
  ++layer_;
  return OkStatus();
}

Result<tensor::Matrix> CalibrationPass::Run(const graph::Block& layer, std::size_t machine,
                                            Weights weights, const Batch& batch,
                                            const forward::Observer& observer) {
  forward::BlockRunner& runner = runners_[machine];
  if (!batch.lengths.empty()) {
    return runner.Run(layer, weights[machine], batch.hidden, batch.lengths, observer);
  }
  const tensor::Matrix* const rotations = batch.visual ? &batch.visual->rotations : nullptr;
  auto hidden =
      runner.Run(layer, weights[machine], batch.hidden, batch.sequences, observer, rotations);
  if (hidden.ok() && batch.visual) {
    batch.visual->AddAfterLayer(layer_, machines_[machine].backend, *hidden);
  }
  return hidden;
}

}  // namespace tyllm::quant
