// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "worker/tensor/matrix.h"

namespace tyllm::forward {

/// Memory of values that are no longer read, for values of the same size to come.
class Workspace {
 public:
  /// A matrix of this shape, what it holds is unspecified; an empty one when none was given back.
  tensor::Matrix Take(std::int64_t rows, std::int64_t columns);
  void GiveBack(tensor::Matrix matrix);

  /// Drops everything that is kept.
  void Clear() { spare_.clear(); }

  /// Drops everything kept for calls with another number of rows.
  void PrepareFor(std::int64_t rows);

 private:
  std::int64_t rows_ = 0;
  std::vector<tensor::Matrix> spare_;
};

}  // namespace tyllm::forward
