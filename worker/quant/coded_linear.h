// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "worker/model/quantized_matrix.h"
#include "worker/quant/code_facts.h"
#include "worker/quant/error_feedback.h"
#include "worker/quant/input_metric.h"
#include "worker/tensor/matrix.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// Codes, zero points and scales in a backend's memory. Made and understood by one LayerKernels,
/// which outlives it.
class CodesOnDevice {
 public:
  virtual ~CodesOnDevice() = default;
};

/// A linear layer as integers, and how far its outputs are from the float layer's.
struct CodedLinear {
  /// Only its sizes where the codes are on a device.
  model::QuantizedMatrix matrix;
  std::unique_ptr<CodesOnDevice> on_device = nullptr;  ///< see LayerKernels::FetchCodes
  /// For each output row, mean over the calibration tokens of the squared difference of its output:
  /// e G e^T with e = coded - float weights and G = mean of x^T x over the tokens. Without a Gram
  /// matrix: e e^T.
  std::vector<double> row_errors;
  /// Groups whose grid is narrower than their range.
  std::int64_t clipped_groups = 0;
  /// Without group errors where the machine does not tell.
  CodeFacts facts;

  double error() const { return std::accumulate(row_errors.begin(), row_errors.end(), 0.0); }
};

/// Every group on its min-max grid. `gram` [in, in] is the mean of x^T x, or has no rows.
CodedLinear RoundToNearest(tensor::MatrixView weights, tensor::MatrixView gram, std::int64_t group,
                           tensor::TaskLanes& lanes);

/// Chooses step, zero point and stored scale of every group so that row_errors become small:
/// 1. each group alone: min-max and narrower grids, by e G e^T within the group;
/// 2. one sweep over the groups of a row, each chosen anew given the errors of all others;
/// 3. one sweep that gives each group, its codes fixed, the scale that makes the row's error
///    smallest.
/// A row that would end up no better than on its min-max grids stays on them, so the result is
/// never worse than RoundToNearest on the same weights, row by row.
CodedLinear SearchRanges(tensor::MatrixView weights, tensor::MatrixView gram, std::int64_t group,
                         tensor::TaskLanes& lanes);

/// Rounds with error feedback (error_feedback.h) and refines the codes (code_refinement.h); grids
/// are searched and refit, or each from minimum to maximum. A row that would end up no better than
/// with each weight rounded to the nearest on its min-max grids is rounded so.
CodedLinear CompensateErrors(tensor::MatrixView weights, const InputMetric& metric,
                             GridChoice choice, tensor::TaskLanes& lanes);

/// row_errors of a layer that keeps its weights but for `difference` [out, in].
std::vector<double> RowErrors(tensor::MatrixView difference, tensor::MatrixView gram,
                              tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
