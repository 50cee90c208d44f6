// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace tyllm::quant {

namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

/// The first linear that reads the value.
std::string ReaderOf(const graph::Block& stage, graph::ValueId value) {
  const auto reads = [&](const graph::Node& node) {
    return node.op == graph::Op::kLinear && node.inputs.front() == value;
  };
  const auto reader = std::ranges::find_if(stage.nodes, reads);
  return reader == stage.nodes.end() ? stage.name : reader->weight;
}

Status NotFinite(const std::string& table, const forward::TokenBatch& batch, std::int64_t row,
                 float number) {
  const bool is_image = batch.visual && std::ranges::binary_search(batch.visual->rows, row);
  if (is_image) {
    return InvalidArgument("the vision tower gives " + std::to_string(number) +
                           " for an image of the calibration (token " + std::to_string(row) +
                           " of its batch), expected finite numbers; the model is damaged: "
                           "download it again");
  }
  return InvalidArgument("tensor '" + table + "' holds " + std::to_string(number) +
                         " in the row of token " +
                         std::to_string(batch.ids[static_cast<std::size_t>(row)]) +
                         ", expected finite numbers; the model is damaged: download it again");
}

}  // namespace

Status CheckEmbedded(const std::string& table, const forward::TokenBatch& batch,
                     const tensor::Matrix& hidden, const LayerMachine& machine) {
  if (machine.kernels.AllWithin(hidden.view(), kLargest)) {
    return OkStatus();
  }
  const tensor::Matrix rows = machine.backend.Fetch(hidden.view());
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const auto bad =
        std::ranges::find_if_not(rows.row(row), [](float x) { return std::isfinite(x); });
    if (bad != rows.row(row).end()) {
      return NotFinite(table, batch, row, *bad);
    }
  }
  return OkStatus();
}

Status CheckStatistics(const graph::Block& stage, const LayerStatistics& statistics,
                       const LayerMachine& machine) {
  for (const auto& [value, input] : statistics.inputs) {
    if (!machine.kernels.AllWithin(input.gram.view(), kLargest)) {
      return DataLoss("linear layer '" + ReaderOf(stage, value) +
                      "' reads numbers that are not finite, or whose squares are not, when the "
                      "model runs on the calibration text, expected finite ones; the model's "
                      "weights are damaged or overflow float32: download or make it again");
    }
  }
  return OkStatus();
}

}  // namespace tyllm::quant
