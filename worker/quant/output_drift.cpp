// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/output_drift.h"

#include <algorithm>
#include <utility>

namespace tyllm::quant {

namespace {

using tensor::Matrix;

constexpr std::int64_t kSampledRuns = 16;
constexpr std::int64_t kRowsOfRun = 8;

/// What says how well a linear does: what it is added to included.
graph::ValueId ComparedValue(const graph::Block& stage, const graph::Node& linear) {
  const std::vector<const graph::Node*> readers = graph::Consumers(stage, linear.output);
  const bool is_added = readers.size() == 1 && readers.front()->op == graph::Op::kAdd;
  return is_added ? readers.front()->output : linear.output;
}

}  // namespace

Matrix SampledRows(tensor::Backend& backend, const Matrix& matrix) {
  Matrix sample;
  if (matrix.rows() <= kSampledRuns * kRowsOfRun) {
    backend.Copy(matrix.view(), sample);
    return sample;
  }
  for (std::int64_t run = 0; run < kSampledRuns; ++run) {
    backend.AppendRows(matrix.rows(run * matrix.rows() / kSampledRuns, kRowsOfRun), sample);
  }
  return sample;
}

DriftCollector::DriftCollector(tensor::Backend& backend, LayerKernels& kernels,
                               const graph::Block& stage)
    : backend_(backend), kernels_(kernels) {
  for (const graph::Node& node : stage.nodes) {
    if (node.op == graph::Op::kLinear) {
      linear_of_.emplace(ComparedValue(stage, node), node.weight);
    }
  }
}

void DriftCollector::ObserveFloat(const graph::Node& node, const Matrix& output) {
  const auto linear = linear_of_.find(node.output);
  if (linear != linear_of_.end()) {
    backend_.Copy(output.view(), expected_[linear->second]);
  }
}

void DriftCollector::ObserveDrifted(const graph::Node& node, std::span<const Matrix* const> inputs,
                                    const Matrix& output) {
  const auto linear = linear_of_.find(node.output);
  if (node.op == graph::Op::kLinear) {
    if (linear != linear_of_.end()) {
      AddRows(node.weight, *inputs[0], output);
    } else {
      backend_.Copy(inputs[0]->view(), inputs_[node.weight]);
    }
  } else if (linear != linear_of_.end()) {
    AddRows(linear->second, inputs_.find(linear->second)->second, output);
  }
}

void DriftCollector::AddRows(const std::string& linear, const Matrix& x, const Matrix& drifted) {
  OutputDrift& drift = drifts_[linear];
  if (drift.sum.rows() == 0) {
    drift.sum = backend_.Zeros(drifted.columns(), x.columns());
  }
  Matrix& difference = expected_.find(linear)->second;
  kernels_.Scale(-1.0F, difference);
  backend_.Add(difference.view(), drifted.view(), difference);
  kernels_.Scale(-1.0F, difference);
  for (const RowRun& run : RunsOf(images_, x.rows())) {
    const tensor::MatrixView rows = difference.rows(run.first, run.count);
    if (run.weight == 1.0) {
      kernels_.AddProduct(rows, x.rows(run.first, run.count), drift.sum);
    } else {
      Matrix weighed;
      backend_.Copy(rows, weighed);
      kernels_.Scale(static_cast<float>(run.weight), weighed);
      kernels_.AddProduct(weighed.view(), x.rows(run.first, run.count), drift.sum);
    }
    drift.tokens += run.weight * static_cast<double>(run.count);
  }
}

void DriftCollector::Add(DriftCollector later) {
  for (auto& [linear, more] : later.drifts_) {
    OutputDrift& drift = drifts_[linear];
    if (drift.sum.rows() == 0) {
      drift.sum = backend_.Zeros(more.sum.rows(), more.sum.columns());
    }
    backend_.Add(drift.sum.view(), more.sum.view(), drift.sum);
    drift.tokens += more.tokens;
  }
}

void DriftCollector::EndFirstHalf() {
  for (auto& [linear, drift] : drifts_) {
    drift.first_sum = SampledRows(backend_, drift.sum);
    drift.first_tokens = drift.tokens;
  }
}

}  // namespace tyllm::quant
