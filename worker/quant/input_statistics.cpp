// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/input_statistics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace tyllm::quant {

namespace {

/// Every eighth token is enough for mean squares of derivatives.
constexpr std::int64_t kGateStride = 8;

}  // namespace

StatisticsCollector::StatisticsCollector(tensor::Backend& backend, LayerKernels& kernels,
                                         std::span<const ScalingGroup> groups)
    : backend_(backend), kernels_(kernels) {
  for (const ScalingGroup& group : groups) {
    counted_.emplace(group.linears.front(), group.input);
  }
}

void StatisticsCollector::Observe(const graph::Node& node,
                                  std::span<const tensor::Matrix* const> inputs) {
  if (node.op == graph::Op::kSiluMul) {
    AddGate(*inputs[0], *inputs[1], gates_[node.output]);
  } else if (node.op == graph::Op::kLinear && counted_.contains(node.weight)) {
    AddInput(*inputs[0], inputs_[node.inputs.front()]);
  }
}

std::vector<RowRun> RunsOf(const ImageRows& images, std::int64_t rows) {
  std::vector<RowRun> runs;
  const auto add = [&](std::int64_t first, std::int64_t end, bool image) {
    const double weight = image ? images.weight : 1.0;
    if (end > first && weight > 0) {
      runs.push_back({first, end - first, image, weight});
    }
  };
  std::int64_t first = 0;
  for (auto image = images.rows.begin(); image != images.rows.end();) {
    const std::int64_t begin = *image;
    std::int64_t end = begin;
    for (; image != images.rows.end() && *image == end; ++image) {
      ++end;
    }
    add(first, begin, false);
    add(begin, end, true);
    first = end;
  }
  add(first, rows, false);
  return runs;
}

void StatisticsCollector::AddInput(const tensor::Matrix& x, InputSums& sums) {
  const std::int64_t columns = x.columns();
  if (sums.abs.empty()) {
    sums.gram = backend_.Zeros(columns, columns);
    sums.abs.assign(static_cast<std::size_t>(columns), 0.0);
  }
  if (images_.rows.empty()) {
    backend_.AccumulateGram(x.view(), sums.gram);
    kernels_.AddMagnitudes(x.view(), sums.abs);
    sums.weight += static_cast<double>(x.rows());
    return;
  }
  for (const RowRun& run : RunsOf(images_, x.rows())) {
    AddRun(x, run, sums);
  }
}

void StatisticsCollector::AddRun(const tensor::Matrix& x, const RowRun& run, InputSums& sums) {
  const tensor::MatrixView rows = x.rows(run.first, run.count);
  if (run.weight == 1.0) {
    backend_.AccumulateGram(rows, sums.gram);
  } else {
    tensor::Matrix weighed = backend_.Zeros(rows.rows, rows.columns);
    backend_.Copy(rows, weighed);
    kernels_.Scale(static_cast<float>(std::sqrt(run.weight)), weighed);
    backend_.AccumulateGram(weighed.view(), sums.gram);
  }
  std::vector<double> abs(sums.abs.size());
  kernels_.AddMagnitudes(rows, abs);
  std::ranges::transform(abs, sums.abs, sums.abs.begin(),
                         [&](double one, double sum) { return sum + run.weight * one; });
  if (run.image) {
    sums.image_abs += run.weight * std::reduce(abs.begin(), abs.end());
  }
  sums.weight += run.weight * static_cast<double>(run.count);
}

void StatisticsCollector::AddGate(const tensor::Matrix& gate, const tensor::Matrix& up,
                                  GateSums& sums) {
  const auto columns = static_cast<std::size_t>(gate.columns());
  sums.sums.gate.resize(columns);
  sums.sums.up.resize(columns);
  for (const RowRun& run : RunsOf(images_, gate.rows())) {
    GateSensitivity squares{std::vector<double>(columns), std::vector<double>(columns)};
    kernels_.AddGateSquares(gate.rows(run.first, run.count), up.rows(run.first, run.count),
                            kGateStride, squares.gate, squares.up);
    for (std::size_t c = 0; c < columns; ++c) {
      sums.sums.gate[c] += run.weight * squares.gate[c];
      sums.sums.up[c] += run.weight * squares.up[c];
    }
    sums.weight += run.weight * static_cast<double>((run.count + kGateStride - 1) / kGateStride);
  }
}

void StatisticsCollector::Add(StatisticsCollector later) {
  const auto add = [](const std::vector<double>& more, std::vector<double>& sums) {
    sums.resize(more.size());
    std::ranges::transform(sums, more, sums.begin(), std::plus<>());
  };
  for (auto& [value, more] : later.inputs_) {
    InputSums& sums = inputs_[value];
    if (sums.abs.empty()) {
      sums.gram = backend_.Zeros(more.gram.rows(), more.gram.columns());
    }
    backend_.Add(sums.gram.view(), more.gram.view(), sums.gram);
    add(more.abs, sums.abs);
    sums.image_abs += more.image_abs;
    sums.weight += more.weight;
  }
  for (auto& [value, more] : later.gates_) {
    GateSums& sums = gates_[value];
    add(more.sums.gate, sums.sums.gate);
    add(more.sums.up, sums.sums.up);
    sums.weight += more.weight;
  }
}

std::map<graph::ValueId, InputStatistics> StatisticsCollector::TakeInputs() {
  std::map<graph::ValueId, InputStatistics> means;
  for (auto& [value, sums] : inputs_) {
    InputStatistics& mean = means[value];
    mean.gram = std::move(sums.gram);
    kernels_.Scale(1.0F / static_cast<float>(sums.weight), mean.gram);
    for (const double sum : sums.abs) {
      mean.mean_abs.push_back(static_cast<float>(sum / sums.weight));
    }
    const double all = std::reduce(sums.abs.begin(), sums.abs.end());
    mean.image_share = all > 0 ? sums.image_abs / all : 0.0;
  }
  inputs_.clear();
  return means;
}

std::map<graph::ValueId, GateSensitivity> StatisticsCollector::TakeGates() {
  std::map<graph::ValueId, GateSensitivity> means;
  for (auto& [value, sums] : gates_) {
    for (std::vector<double>* numbers : {&sums.sums.gate, &sums.sums.up}) {
      for (double& number : *numbers) {
        number /= sums.weight;
      }
    }
    means[value] = std::move(sums.sums);
  }
  gates_.clear();
  return means;
}

}  // namespace tyllm::quant
