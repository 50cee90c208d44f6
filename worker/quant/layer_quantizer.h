// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/task_options.h"
#include "worker/forward/block_runner.h"
#include "worker/quant/coded_linear.h"
#include "worker/quant/input_statistics.h"
#include "worker/quant/layer_kernels.h"
#include "worker/quant/output_drift.h"
#include "worker/quant/quantization_report.h"
#include "worker/quant/scaling_group.h"

namespace tyllm::quant {

/// What calibration says of a decoder layer, or of a stage of one.
struct LayerStatistics {
  std::map<graph::ValueId, InputStatistics> inputs;
  std::map<graph::ValueId, GateSensitivity> gates;
  StageDrift drift;  ///< empty where nothing has drifted
};

/// A decoder layer, or a stage of one, after quantization, in the host's memory.
struct QuantizedLayer {
  std::map<std::string, PackedLinear, std::less<>> packed;
  /// Linears that are packed later: where no format was told, or the machine does not pack it.
  std::map<std::string, model::QuantizedMatrix, std::less<>> linears;
  /// Everything else, folded: norms, biases and the linears that stay in float.
  forward::BlockWeights floats;
  std::vector<LinearReport> reports;
  /// What each linear took, by name; layers that share scales share what choosing them took.
  std::map<std::string, double> seconds;

  /// Takes the codes of a linear layer from where they are.
  void Take(const std::string& linear, CodedLinear coded, const model::LinearFormat* format,
            LayerKernels& kernels);
  /// Adds what another stage of the layer became.
  void Add(QuantizedLayer later);
};

/// How the linears of a layer are to be quantized.
struct LayerTask {
  const graph::Block* block = nullptr;
  const model::ModelShape* shape = nullptr;
  const domain::QuantizeOptions* options = nullptr;
  std::function<bool(std::string_view)> keeps_float;  ///< by module name
  const Clock* clock = &SystemClock();
  const model::LinearFormat* format = nullptr;  ///< that is written; linears are packed at once
};

/// Each group on its min-max grid, nothing else: needs no calibration.
QuantizedLayer RoundLayer(const LayerTask& task, forward::BlockWeights weights,
                          const LayerMachine& machine);

/// Moves weights where the statistics say what was lost before (weight_correction.h). Then AWQ,
/// with or without compensation of errors: the scaling groups from the last to the first (a
/// group's producer is rounded after it was divided), each: search scales, fold them exactly,
/// choose integers. A group whose weighed output error is not lower than round-to-nearest's keeps
/// scales of 1; so no group is ever worse.
QuantizedLayer QuantizeLayer(const LayerTask& task, LayerStatistics statistics,
                             forward::BlockWeights weights, const LayerMachine& machine);

}  // namespace tyllm::quant
