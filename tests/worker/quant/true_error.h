// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/quant/coded_linear.h"

namespace tyllm::testing {

/// Mean squared difference of output `row` over the tokens, from the numbers that a file would
/// hold.
inline double TrueError(const tensor::Matrix& x, const tensor::Matrix& w,
                        const quant::CodedLinear& coded, std::int64_t row) {
  const std::vector<float> stored = coded.matrix.Dequantize();
  double sum = 0.0;
  for (std::int64_t t = 0; t < x.rows(); ++t) {
    double difference = 0.0;
    for (std::int64_t c = 0; c < w.columns(); ++c) {
      const auto i = static_cast<std::size_t>(c);
      difference += static_cast<double>(x.row(t)[i]) *
                    (stored[static_cast<std::size_t>(row * w.columns()) + i] - w.row(row)[i]);
    }
    sum += difference * difference;
  }
  return sum / static_cast<double>(x.rows());
}

}  // namespace tyllm::testing
