// SPDX-License-Identifier: Apache-2.0
// The words of AutoAWQ's GEMM layout, for the host and for GPUs: C++17, and nothing included that
// nvcc could not compile.
#pragma once

namespace tyllm::model {

/// Output columns of a word.
inline constexpr int kAwqGemmPack = 8;

/// Where the word of output columns 8w .. 8w+7 holds column 8w+j, in bits from the lowest: columns
/// stand in the order 0 2 4 6 1 3 5 7.
constexpr unsigned AwqGemmShift(unsigned j) {
  return j % 2U * 16U + j / 2U * 4U;
}

}  // namespace tyllm::model
