// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/code_facts.h"

#include <algorithm>
#include <cmath>

#include "common/format/float16.h"
#include "worker/quant/affine_grid.h"
#include "worker/quant/row_products.h"

namespace tyllm::quant {

namespace {

/// A little more than half a step, for the rounding of the division.
constexpr float kBeyond = 0.501F;

void AddRow(std::span<const float> weights, const model::QuantizedMatrix& matrix, std::int64_t row,
            std::span<const float> energy, CodeFacts& facts) {
  const std::uint8_t* codes = matrix.q.data() + row * matrix.columns;
  for (std::int64_t g = 0; g < matrix.groups(); ++g) {
    const auto cell = static_cast<std::size_t>(row * matrix.groups() + g);
    const float scale = format::HalfToFloat(matrix.scale[cell]);
    const auto zero = static_cast<float>(matrix.zero[cell]);
    float sum = 0.0F;
    for (std::int64_t c = g * matrix.group; c < (g + 1) * matrix.group; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const auto code = static_cast<float>(codes[c]);
      const float error = (code - zero) * scale - weights[at];
      sum += error * error * (energy.empty() ? 1.0F : energy[at]);
      const bool is_at_end = code == 0.0F || code == kLargestCode;
      facts.saturated += is_at_end && std::fabs(error) > kBeyond * scale ? 1 : 0;
    }
    facts.group_errors[static_cast<std::size_t>(g)] += static_cast<double>(sum);
  }
}

}  // namespace

CodeFacts DescribeCodes(tensor::MatrixView weights, const model::QuantizedMatrix& matrix,
                        std::span<const float> energy, tensor::TaskLanes& lanes) {
  const auto groups = static_cast<std::size_t>(matrix.groups());
  const std::int64_t tiles = (weights.rows + kTileRows - 1) / kTileRows;
  std::vector<CodeFacts> parts(static_cast<std::size_t>(tiles));
  lanes.ForEach(tiles, [&](std::int64_t tile, std::vector<float>&) {
    CodeFacts& part = parts[static_cast<std::size_t>(tile)];
    part.group_errors.resize(groups);
    const std::int64_t end = std::min(weights.rows, (tile + 1) * kTileRows);
    for (std::int64_t row = tile * kTileRows; row < end; ++row) {
      AddRow(weights.row(row), matrix, row, energy, part);
    }
  });
  CodeFacts facts;
  facts.group_errors.resize(groups);
  for (const CodeFacts& part : parts) {
    facts.saturated += part.saturated;
    std::ranges::transform(facts.group_errors, part.group_errors, facts.group_errors.begin(),
                           std::plus<>());
  }
  return facts;
}

}  // namespace tyllm::quant
