// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/model_directory.h"
#include "worker/quant/input_statistics.h"
#include "worker/tensor/matrix.h"

namespace tyllm::testing {

inline tensor::Matrix MadeMatrix(const std::string& name, std::int64_t rows, std::int64_t columns) {
  return {rows, columns, MadeFloats(name, rows * columns)};
}

/// Inputs as layers have them: correlated columns, a few of them far larger than the rest.
inline tensor::Matrix MadeInputs(const std::string& name, std::int64_t tokens,
                                 std::int64_t columns) {
  tensor::Matrix x = MadeMatrix(name, tokens, columns);
  for (std::int64_t r = 0; r < tokens; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      float& value = x.row(r)[static_cast<std::size_t>(c)];
      value += 0.5F * x.row(r)[static_cast<std::size_t>(c / 7)];
      value *= c % 11 == 3 ? 12.0F : 1.0F;
    }
  }
  return x;
}

/// Means of x^T x and |x|, in plain loops.
inline quant::InputStatistics StatisticsOf(const tensor::Matrix& x) {
  quant::InputStatistics statistics{tensor::Matrix(x.columns(), x.columns()), {}};
  const auto tokens = static_cast<double>(x.rows());
  for (std::size_t i = 0; i < static_cast<std::size_t>(x.columns()); ++i) {
    double abs = 0.0;
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      abs += std::fabs(x.row(r)[i]);
    }
    statistics.mean_abs.push_back(static_cast<float>(abs / tokens));
    for (std::size_t j = 0; j < static_cast<std::size_t>(x.columns()); ++j) {
      double sum = 0.0;
      for (std::int64_t r = 0; r < x.rows(); ++r) {
        sum += static_cast<double>(x.row(r)[i]) * x.row(r)[j];
      }
      statistics.gram.row(static_cast<std::int64_t>(i))[j] = static_cast<float>(sum / tokens);
    }
  }
  return statistics;
}

}  // namespace tyllm::testing
