// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/output_drift.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace tyllm::quant {

namespace {

using tensor::Matrix;

constexpr std::int64_t kSampledRuns = 16;
constexpr std::int64_t kRowsOfRun = 8;

/// The sum of a linear's output and the hidden states, where that is all that reads the output.
std::optional<graph::ValueId> SumWith(const graph::Block& stage, const graph::Node& linear) {
  const std::vector<const graph::Node*> readers = graph::Consumers(stage, linear.output);
  if (readers.size() == 1 && readers.front()->op == graph::Op::kAdd) {
    return readers.front()->output;
  }
  return std::nullopt;
}

template <typename Drift>
void AddDrift(tensor::Backend& backend, const Drift& more, Drift& drift) {
  if (drift.sum.rows() == 0) {
    drift.sum = backend.Zeros(more.sum.rows(), more.sum.columns());
  }
  backend.Add(drift.sum.view(), more.sum.view(), drift.sum);
  drift.tokens += more.tokens;
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

OutputDrift ThroughWeights(tensor::Backend& backend, const Matrix& weights,
                           const InputDrift& drift) {
  OutputDrift outputs;
  outputs.tokens = drift.tokens;
  outputs.first_tokens = drift.first_tokens;
  backend.Linear(weights.view(), drift.sum.view(), {}, outputs.sum);
  if (drift.first_sum.rows() > 0) {
    const Matrix sample = SampledRows(backend, weights);
    backend.Linear(sample.view(), drift.first_sum.view(), {}, outputs.first_sum);
  }
  return outputs;
}

DriftCollector::DriftCollector(tensor::Backend& backend, LayerKernels& kernels,
                               const graph::Block& stage)
    : backend_(backend), kernels_(kernels) {
  std::set<graph::ValueId> seen;
  for (const graph::Node& node : stage.nodes) {
    if (node.op != graph::Op::kLinear) {
      continue;
    }
    if (const auto sum = SumWith(stage, node)) {
      added_.emplace(*sum, node.weight);
    } else if (seen.insert(node.inputs.front()).second) {
      counted_.emplace(node.weight, node.inputs.front());
    }
  }
}

void DriftCollector::ObserveFloat(const graph::Node& node, std::span<const Matrix* const> inputs,
                                  const Matrix& output) {
  if (const auto linear = added_.find(node.output); linear != added_.end()) {
    backend_.Copy(output.view(), expected_[linear->second]);
  } else if (const auto counted = counted_.find(node.weight); counted != counted_.end()) {
    backend_.Copy(inputs[0]->view(), expected_inputs_[counted->second]);
  }
}

void DriftCollector::ObserveDrifted(const graph::Node& node, std::span<const Matrix* const> inputs,
                                    const Matrix& output) {
  if (const auto linear = added_.find(node.output); linear != added_.end()) {
    AddOutputs(linear->second, inputs_.find(linear->second)->second, output);
  } else if (const auto counted = counted_.find(node.weight); counted != counted_.end()) {
    AddInputs(counted->second, *inputs[0]);
  } else if (IsAdded(node.weight)) {
    backend_.Copy(inputs[0]->view(), inputs_[node.weight]);
  }
}

bool DriftCollector::IsAdded(const std::string& linear) const {
  return std::ranges::any_of(added_, [&](const auto& added) { return added.second == linear; });
}

Matrix& DriftCollector::Subtract(const Matrix& drifted, Matrix& expected) {
  kernels_.Scale(-1.0F, expected);
  backend_.Add(expected.view(), drifted.view(), expected);
  kernels_.Scale(-1.0F, expected);
  return expected;
}

void DriftCollector::AddOutputs(const std::string& linear, const Matrix& x, const Matrix& drifted) {
  AddRows(Subtract(drifted, expected_.find(linear)->second).view(), x.view(),
          drift_.outputs[linear]);
}

void DriftCollector::AddInputs(graph::ValueId value, const Matrix& x) {
  AddRows(x.view(), Subtract(x, expected_inputs_.find(value)->second).view(), drift_.inputs[value]);
}

template <typename Drift>
void DriftCollector::AddRows(tensor::MatrixView a, tensor::MatrixView b, Drift& drift) {
  if (drift.sum.rows() == 0) {
    drift.sum = backend_.Zeros(a.columns, b.columns);
  }
  for (const RowRun& run : RunsOf(images_, a.rows)) {
    const tensor::MatrixView left{a.data + run.first * a.columns, run.count, a.columns};
    const tensor::MatrixView right{b.data + run.first * b.columns, run.count, b.columns};
    if (run.weight == 1.0) {
      kernels_.AddProduct(left, right, drift.sum);
    } else {
      Matrix weighed;
      backend_.Copy(left, weighed);
      kernels_.Scale(static_cast<float>(run.weight), weighed);
      kernels_.AddProduct(weighed.view(), right, drift.sum);
    }
    drift.tokens += run.weight * static_cast<double>(run.count);
  }
}

void DriftCollector::Add(DriftCollector later) {
  for (const auto& [linear, more] : later.drift_.outputs) {
    AddDrift(backend_, more, drift_.outputs[linear]);
  }
  for (const auto& [value, more] : later.drift_.inputs) {
    AddDrift(backend_, more, drift_.inputs[value]);
  }
}

void DriftCollector::EndFirstHalf() {
  for (auto& [linear, drift] : drift_.outputs) {
    drift.first_sum = SampledRows(backend_, drift.sum);
    drift.first_tokens = drift.tokens;
  }
  for (auto& [value, drift] : drift_.inputs) {
    backend_.Copy(drift.sum.view(), drift.first_sum);
    drift.first_tokens = drift.tokens;
  }
}

}  // namespace tyllm::quant
