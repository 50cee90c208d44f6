// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_pass.h"

#include <algorithm>
#include <future>
#include <utility>

#include "worker/forward/embedding_rows.h"
#include "worker/quant/calibration_check.h"
#include "worker/quant/followed_batches.h"

namespace tyllm::quant {

CalibrationPass::CalibrationPass(std::vector<LayerMachine> machines, const model::ModelShape& shape,
                                 Options options)
    : machines_(std::move(machines)), shape_(shape), options_(options) {
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
    TYLLM_TRY(CheckEmbedded(embedding.nodes.front().weight, batch, hidden, machines_[machine])
                  .Annotate(checkpoint.directory().string()));
    tokens_ += hidden.rows();
    batches_.push_back({batch.sequences, batch.lengths, std::move(hidden), batch.visual});
  }
  if (options_.follows_quantized) {
    ChooseFollowed();
  }
  return OkStatus();
}

void CalibrationPass::ChooseFollowed() {
  const auto count = static_cast<std::int64_t>(batches_.size());
  for (std::int64_t i = 0; i < FollowedBatches(count); ++i) {
    followed_.push_back(static_cast<std::size_t>(i * FollowedStride(count)));
  }
  for (const std::size_t i : followed_) {
    machines_[i % machines_.size()].backend.Copy(batches_[i].hidden.view(), batches_[i].drifted);
  }
}

bool CalibrationPass::IsFollowed(std::size_t batch) const {
  return std::ranges::binary_search(followed_, batch);
}

CalibrationPass::Sums CalibrationPass::MakeSums(const graph::Block& stage,
                                                const LayerMachine& machine) const {
  return {StatisticsCollector(machine.backend, machine.kernels, FindScalingGroups(stage, shape_)),
          DriftCollector(machine.backend, machine.kernels, stage)};
}

/// Called in the order of the batches.
void CalibrationPass::CountBatch(std::size_t batch, DriftCollector& drift) const {
  if (has_drifted_ && batch == followed_[followed_.size() / 2 - 1]) {
    drift.EndFirstHalf();
  }
}

Status CalibrationPass::RunBatch(const graph::Block& stage, std::size_t machine, Weights weights,
                                 Batch& batch, Sums& sums) {
  const bool drifts = has_drifted_ && batch.drifted.rows() > 0;
  const ImageRows images{batch.visual ? std::span<const std::int64_t>(batch.visual->rows)
                                      : std::span<const std::int64_t>(),
                         options_.image_weight};
  sums.statistics.SetImageRows(images);
  sums.drift.SetImageRows(images);
  using Inputs = std::span<const tensor::Matrix* const>;
  const auto observe = [&](const graph::Node& node, Inputs inputs, const tensor::Matrix& output) {
    sums.statistics.Observe(node, inputs);
    if (drifts) {
      sums.drift.ObserveFloat(node, inputs, output);
    }
  };
  TYLLM_ASSIGN(batch.hidden, Run(stage, machine, weights, batch, batch.hidden, observe));
  if (drifts) {
    const auto compare = [&](const graph::Node& node, Inputs inputs, const tensor::Matrix& output) {
      sums.drift.ObserveDrifted(node, inputs, output);
    };
    TYLLM_TRY(Run(stage, machine, weights, batch, batch.drifted, compare).status());
  }
  return OkStatus();
}

Status CalibrationPass::RunRound(const graph::Block& stage, Weights weights, std::size_t first,
                                 std::size_t last, Sums& sums) {
  std::vector<Sums> parts;
  for (std::size_t i = first; i < last; ++i) {
    parts.push_back(MakeSums(stage, machines_[i - first]));
  }
  std::vector<std::future<Status>> running;
  for (std::size_t i = first; i < last; ++i) {
    running.push_back(std::async(std::launch::async, [&, i] {
      const Status status = RunBatch(stage, i - first, weights, batches_[i], parts[i - first]);
      machines_[i - first].backend.Finish();  // the first machine adds its sums
      return status;
    }));
  }
  for (std::future<Status>& run : running) {
    run.wait();
  }
  for (std::size_t i = 0; i < running.size(); ++i) {
    TYLLM_TRY(running[i].get());
    sums.statistics.Add(std::move(parts[i].statistics));
    sums.drift.Add(std::move(parts[i].drift));
    CountBatch(first + i, sums.drift);
  }
  return OkStatus();
}

Result<LayerStatistics> CalibrationPass::RunStage(
    const graph::Block& stage, Weights weights,
    const std::function<void(std::int64_t)>& after_batch) {
  TYLLM_CHECK(weights.size() == machines_.size());
  Sums sums = MakeSums(stage, machines_.front());
  std::int64_t done = 0;
  for (std::size_t first = 0; first < batches_.size(); first += machines_.size()) {
    const std::size_t last = std::min(first + machines_.size(), batches_.size());
    if (machines_.size() == 1) {
      TYLLM_TRY(RunBatch(stage, 0, weights, batches_[first], sums));
      CountBatch(first, sums.drift);
    } else {
      TYLLM_TRY(RunRound(stage, weights, first, last, sums));
    }
    for (std::size_t i = first; i < last; ++i) {
      done += batches_[i].hidden.rows();
    }
    if (after_batch) {
      after_batch(done);
    }
  }
  ReleaseMemory();
  LayerStatistics statistics{sums.statistics.TakeInputs(), sums.statistics.TakeGates(),
                             sums.drift.Take()};
  TYLLM_TRY(CheckStatistics(stage, statistics, machines_.front()));
  return statistics;
}

Status CalibrationPass::PassStage(const graph::Block& stage, Weights weights) {
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = batches_[i];
    TYLLM_ASSIGN(batch.hidden, Run(stage, i % machines_.size(), weights, batch, batch.hidden, {}));
  }
  ReleaseMemory();
  return OkStatus();
}

Status CalibrationPass::Follow(const graph::Block& stage, Weights weights) {
  for (const std::size_t i : followed_) {
    Batch& batch = batches_[i];
    TYLLM_ASSIGN(batch.drifted,
                 Run(stage, i % machines_.size(), weights, batch, batch.drifted, {}));
  }
  has_drifted_ = !followed_.empty();
  ReleaseMemory();
  return OkStatus();
}

/// Of values inside a stage: what comes next, another stage or quantizing, needs the room.
void CalibrationPass::ReleaseMemory() {
  for (forward::BlockRunner& runner : runners_) {
    runner.ReleaseMemory();
  }
}

void CalibrationPass::EndLayer() {
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = batches_[i];
    if (batch.visual) {
      tensor::Backend& backend = machines_[i % machines_.size()].backend;
      batch.visual->AddAfterLayer(layer_, backend, batch.hidden);
      if (IsFollowed(i)) {
        batch.visual->AddAfterLayer(layer_, backend, batch.drifted);
      }
    }
  }
  ++layer_;
}

Result<tensor::Matrix> CalibrationPass::Run(const graph::Block& stage, std::size_t machine,
                                            Weights weights, const Batch& batch,
                                            const tensor::Matrix& hidden,
                                            const forward::Observer& observer) {
  forward::BlockRunner& runner = runners_[machine];
  if (!batch.lengths.empty()) {
    return runner.Run(stage, weights[machine], hidden, batch.lengths, observer);
  }
  const tensor::Matrix* const rotations = batch.visual ? &batch.visual->rotations : nullptr;
  return runner.Run(stage, weights[machine], hidden, batch.sequences, observer, rotations);
}

}  // namespace tyllm::quant
