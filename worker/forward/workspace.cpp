// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/workspace.h"

#include <algorithm>
#include <utility>

namespace tyllm::forward {

tensor::Matrix Workspace::Take(std::int64_t rows, std::int64_t columns) {
  const auto fits = [&](const tensor::Matrix& m) {
    return m.rows() == rows && m.columns() == columns;
  };
  const auto found = std::ranges::find_if(spare_, fits);
  if (found == spare_.end()) {
    return {};
  }
  std::swap(*found, spare_.back());
  tensor::Matrix matrix = std::move(spare_.back());
  spare_.pop_back();
  return matrix;
}

void Workspace::GiveBack(tensor::Matrix matrix) {
  if (matrix.rows() == rows_) {
    spare_.push_back(std::move(matrix));
  }
}

void Workspace::PrepareFor(std::int64_t rows) {
  if (rows != rows_) {
    spare_.clear();
    rows_ = rows;
  }
}

}  // namespace tyllm::forward
