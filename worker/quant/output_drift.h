// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "worker/graph/graph.h"
#include "worker/quant/input_statistics.h"
#include "worker/quant/layer_kernels.h"
#include "worker/tensor/backend.h"

namespace tyllm::quant {

/// How far a linear layer of the float model that reads what the quantized layers before it made is
/// from where it was in the float model, as far as its own input can tell: a sum over tokens of
/// (float output - drifted output)^T x. For a linear whose output is added to the hidden states the
/// outputs are those sums, so what was lost before it counts too.
struct OutputDrift {
  tensor::Matrix sum;  ///< [out, in], in the backend's memory
  double tokens = 0.0;
  /// SampledRows of `sum`, and `tokens`, as they were after the first half of the batches.
  tensor::Matrix first_sum;
  double first_tokens = 0.0;
};

/// Rows of a matrix by which the halves of a calibration are compared: at most 128, in 16 runs
/// spread over all rows.
tensor::Matrix SampledRows(tensor::Backend& backend, const tensor::Matrix& matrix);

/// Gathers the drift of a stage's linears while the stage, in float, runs on a batch of the float
/// model's states and then on the same batch of the quantized model's. Memory: the weights' once
/// more, and the outputs of a batch.
class DriftCollector {
 public:
  /// All outlive this.
  DriftCollector(tensor::Backend& backend, LayerKernels& kernels, const graph::Block& stage);

  /// Of the batch that comes next; until then all rows are text. What is pointed to outlives it.
  void SetImageRows(ImageRows images) { images_ = images; }

  /// To be called as observers: first of the float model's states, then of the quantized model's.
  void ObserveFloat(const graph::Node& node, const tensor::Matrix& output);
  void ObserveDrifted(const graph::Node& node, std::span<const tensor::Matrix* const> inputs,
                      const tensor::Matrix& output);

  /// Adds the sums of batches that came later and were computed on another backend.
  void Add(DriftCollector later);
  /// What was added so far is the first half.
  void EndFirstHalf();

  /// By module name; call once, last.
  std::map<std::string, OutputDrift> Take() { return std::move(drifts_); }

 private:
  void AddRows(const std::string& linear, const tensor::Matrix& x, const tensor::Matrix& drifted);

  tensor::Backend& backend_;
  LayerKernels& kernels_;
  std::map<graph::ValueId, std::string> linear_of_;  ///< by the value that is compared
  std::map<std::string, tensor::Matrix> expected_;   ///< the float model's, of this batch
  std::map<std::string, tensor::Matrix> inputs_;     ///< where the output comes later
  std::map<std::string, OutputDrift> drifts_;
  ImageRows images_;
};

}  // namespace tyllm::quant
