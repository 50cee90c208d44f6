// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_kernels.h"
#include "worker/quant/scaling_group.h"
#include "worker/tensor/backend.h"

namespace tyllm::quant {

/// What calibration says of one input of linear layers: means over all tokens.
struct InputStatistics {
  tensor::Matrix gram;          ///< [columns, columns]: mean of x^T x; in the backend's memory
  std::vector<float> mean_abs;  ///< [columns]: mean of |x|
};

/// Mean squares of the derivatives of silu(gate) * up: what a small error of either input does to
/// each column of the product.
struct GateSensitivity {
  std::vector<double> gate;  ///< of silu'(gate) * up
  std::vector<double> up;    ///< of silu(gate)
};

/// Gathers statistics of a decoder layer while it runs on one piece of the calibration tokens after
/// another. No activations are kept. Memory: columns^2 floats for each distinct input.
class StatisticsCollector {
 public:
  StatisticsCollector(tensor::Backend& backend, LayerKernels& kernels,
                      std::span<const ScalingGroup> groups);

  /// To be called as the runner's observer.
  void Observe(const graph::Node& node, std::span<const tensor::Matrix* const> inputs);

  /// Adds the sums of tokens that came later and were computed on another backend.
  void Add(StatisticsCollector later);

  /// Sums become means; call once, last. By the group's input value.
  std::map<graph::ValueId, InputStatistics> TakeInputs();
  /// By the output value of the silu_mul node.
  std::map<graph::ValueId, GateSensitivity> TakeGates();

 private:
  struct InputSums {
    tensor::Matrix gram;
    std::vector<double> abs;
    std::int64_t tokens = 0;
  };

  struct GateSums {
    GateSensitivity sums;
    std::int64_t tokens = 0;
  };

  void AddInput(const tensor::Matrix& x, InputSums& sums);
  void AddGate(const tensor::Matrix& gate, const tensor::Matrix& up, GateSums& sums);

  tensor::Backend& backend_;
  LayerKernels& kernels_;
  /// The first linear of each group: a value that several read is counted once.
  std::map<std::string, graph::ValueId, std::less<>> counted_;
  std::map<graph::ValueId, InputSums> inputs_;
  std::map<graph::ValueId, GateSums> gates_;
};

}  // namespace tyllm::quant
