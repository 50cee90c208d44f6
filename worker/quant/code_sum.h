// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "worker/model/quantized_matrix.h"

namespace tyllm::quant {

/// 128 bits by which codes, zero points and scales of a linear layer are known again, in whatever
/// layout they were in between: sums of TermOf (code_mix.h), modulo 2^64, over their bytes, rows
/// one after another. Sums have no order, so whoever has the codes computes it: a GPU too. It finds
/// accidents, not forgeries.
struct CodeSum {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  bool operator==(const CodeSum&) const = default;

  /// 32 digits.
  std::string Hex() const;
};

CodeSum SumOfCodes(const model::QuantizedMatrix& matrix);

}  // namespace tyllm::quant
