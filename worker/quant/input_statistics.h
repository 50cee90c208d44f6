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

/// What calibration says of one input of linear layers: means over all tokens, weighed.
struct InputStatistics {
  tensor::Matrix gram;          ///< [columns, columns]: mean of x^T x; in the backend's memory
  std::vector<float> mean_abs;  ///< [columns]: mean of |x|
  double image_share = 0.0;     ///< of the sum of all |x|: what tokens of images are of it
};

/// The rows of a batch's values that stand for parts of images, and what one of them counts for
/// where a row of text counts for 1.
struct ImageRows {
  std::span<const std::int64_t> rows;  ///< ascending
  double weight = 1.0;                 ///< 0 or more
};

/// Rows that follow each other and are all text, or all of images.
struct RowRun {
  std::int64_t first = 0;
  std::int64_t count = 0;
  bool image = false;
  double weight = 1.0;
};

/// All of `rows` rows but those that count for nothing.
std::vector<RowRun> RunsOf(const ImageRows& images, std::int64_t rows);

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

  /// Of the batch that comes next; until then all rows are text. What is pointed to outlives it.
  void SetImageRows(ImageRows images) { images_ = images; }

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
    double image_abs = 0.0;  ///< of all columns; a part of abs
    double weight = 0.0;     ///< of all tokens
  };

  struct GateSums {
    GateSensitivity sums;
    double weight = 0.0;
  };

  void AddInput(const tensor::Matrix& x, InputSums& sums);
  void AddRun(const tensor::Matrix& x, const RowRun& run, InputSums& sums);
  void AddGate(const tensor::Matrix& gate, const tensor::Matrix& up, GateSums& sums);

  tensor::Backend& backend_;
  LayerKernels& kernels_;
  /// The first linear of each group: a value that several read is counted once.
  std::map<std::string, graph::ValueId, std::less<>> counted_;
  std::map<graph::ValueId, InputSums> inputs_;
  std::map<graph::ValueId, GateSums> gates_;
  ImageRows images_;
};

}  // namespace tyllm::quant
