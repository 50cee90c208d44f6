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

/// How far an input of linear layers is from where it was: a sum over tokens of x^T (float x - x),
/// x being the drifted one. It says everything of linears whose outputs are added to nothing, for
/// fewer products than the outputs take: see ThroughWeights.
struct InputDrift {
  tensor::Matrix sum;  ///< [in, in], in the backend's memory
  double tokens = 0.0;
  /// The same as they were after the first half of the batches.
  tensor::Matrix first_sum;
  double first_tokens = 0.0;
};

/// What has drifted in a stage.
struct StageDrift {
  std::map<std::string, OutputDrift> outputs;   ///< of linears that are added to hidden states
  std::map<graph::ValueId, InputDrift> inputs;  ///< of all others

  bool empty() const { return outputs.empty() && inputs.empty(); }
};

/// The drift of the outputs of a linear with these weights [out, in].
OutputDrift ThroughWeights(tensor::Backend& backend, const tensor::Matrix& weights,
                           const InputDrift& drift);

/// Rows of a matrix by which the halves of a calibration are compared: at most 128, in 16 runs
/// spread over all rows.
tensor::Matrix SampledRows(tensor::Backend& backend, const tensor::Matrix& matrix);

/// Gathers the drift of a stage's linears while the stage, in float, runs on a batch of the float
/// model's states and then on the same batch of the quantized model's. Memory: two squares of each
/// input's width or, where the output is added to hidden states, the linear's weights once more;
/// and what is compared of a batch.
class DriftCollector {
 public:
  /// All outlive this.
  DriftCollector(tensor::Backend& backend, LayerKernels& kernels, const graph::Block& stage);

  /// Of the batch that comes next; until then all rows are text. What is pointed to outlives it.
  void SetImageRows(ImageRows images) { images_ = images; }

  /// To be called as observers: first of the float model's states, then of the quantized model's.
  void ObserveFloat(const graph::Node& node, std::span<const tensor::Matrix* const> inputs,
                    const tensor::Matrix& output);
  void ObserveDrifted(const graph::Node& node, std::span<const tensor::Matrix* const> inputs,
                      const tensor::Matrix& output);

  /// Adds the sums of batches that came later and were computed on another backend.
  void Add(DriftCollector later);
  /// What was added so far is the first half.
  void EndFirstHalf();

  /// Call once, last.
  StageDrift Take() { return std::move(drift_); }

 private:
  /// drift.sum += a^T b, by the weights of the rows.
  template <typename Drift>
  void AddRows(tensor::MatrixView a, tensor::MatrixView b, Drift& drift);
  void AddOutputs(const std::string& linear, const tensor::Matrix& x,
                  const tensor::Matrix& drifted);
  void AddInputs(graph::ValueId value, const tensor::Matrix& x);
  bool IsAdded(const std::string& linear) const;
  /// `expected` becomes expected - drifted.
  tensor::Matrix& Subtract(const tensor::Matrix& drifted, tensor::Matrix& expected);

  tensor::Backend& backend_;
  LayerKernels& kernels_;
  std::map<graph::ValueId, std::string> added_;  ///< linears, by the sum that is compared
  /// The first of the linears that read a value and are not added: it is counted once.
  std::map<std::string, graph::ValueId> counted_;
  std::map<std::string, tensor::Matrix> expected_;            ///< the float model's, of this batch
  std::map<graph::ValueId, tensor::Matrix> expected_inputs_;  ///< the same
  std::map<std::string, tensor::Matrix> inputs_;              ///< of those that are added
  StageDrift drift_;
  ImageRows images_;
};

}  // namespace tyllm::quant
