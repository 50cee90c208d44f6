// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tyllm::simulator {

/// Numbers that stand in steps of one length.
inline constexpr std::int64_t kStepBlock = 256;

/// Rows of float32 in 16 bits a number. Each block of kStepBlock columns (the last one of a row may
/// be shorter) has its smallest number and the length of a step, so that its largest number is
/// 65,535 steps above: what comes back is off by at most half a step, 1/131,070 of the block's
/// range.
struct SteppedRows {
  std::vector<std::uint16_t> steps;  ///< [rows, columns]
  std::vector<float> blocks;         ///< [rows, StepBlocks(columns), 2]: smallest, step
};

/// Blocks of a row.
constexpr std::int64_t StepBlocks(std::int64_t columns) {
  return (columns + kStepBlock - 1) / kStepBlock;
}

/// A block with a number that is not finite comes back as NaN, all of it.
SteppedRows ToSteps(std::span<const float> numbers, std::int64_t columns);

std::vector<float> FromSteps(const SteppedRows& rows, std::int64_t columns);

}  // namespace tyllm::simulator
