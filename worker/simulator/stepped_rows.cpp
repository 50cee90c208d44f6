// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/stepped_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tyllm::simulator {

namespace {

constexpr double kMostSteps = 65'535;

void AppendBlock(std::span<const float> numbers, SteppedRows& out) {
  if (!std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); })) {
    out.blocks.insert(out.blocks.end(), 2, std::numeric_limits<float>::quiet_NaN());
    out.steps.insert(out.steps.end(), numbers.size(), 0);
    return;
  }
  const auto [lowest, highest] = std::ranges::minmax(numbers);
  const double range = static_cast<double>(highest) - static_cast<double>(lowest);
  const auto step = static_cast<float>(range / kMostSteps);
  out.blocks.push_back(lowest);
  out.blocks.push_back(step);
  for (const float number : numbers) {
    const double above = static_cast<double>(number) - static_cast<double>(lowest);
    const double steps = step > 0 ? std::round(above / static_cast<double>(step)) : 0.0;
    out.steps.push_back(static_cast<std::uint16_t>(std::min(steps, kMostSteps)));
  }
}

}  // namespace

SteppedRows ToSteps(std::span<const float> numbers, std::int64_t columns) {
  SteppedRows out;
  out.steps.reserve(numbers.size());
  const auto row = static_cast<std::size_t>(columns);
  for (std::size_t first = 0; first < numbers.size(); first += row) {
    for (std::size_t c = 0; c < row; c += kStepBlock) {
      AppendBlock(numbers.subspan(first + c, std::min<std::size_t>(kStepBlock, row - c)), out);
    }
  }
  return out;
}

std::vector<float> FromSteps(const SteppedRows& rows, std::int64_t columns) {
  std::vector<float> numbers;
  numbers.reserve(rows.steps.size());
  const auto row = static_cast<std::size_t>(columns);
  const auto of_row = static_cast<std::size_t>(StepBlocks(columns));
  for (std::size_t i = 0; i < rows.steps.size(); ++i) {
    const std::size_t block = i / row * of_row + i % row / kStepBlock;
    const double above = static_cast<double>(rows.steps[i]) * rows.blocks[2 * block + 1];
    numbers.push_back(static_cast<float>(rows.blocks[2 * block] + above));
  }
  return numbers;
}

}  // namespace tyllm::simulator
