// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace tyllm::tensor {

/// A read-only float32 matrix, rows contiguous.
struct MatrixView {
  const float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  std::span<const float> row(std::int64_t r) const {
    return {data + r * columns, static_cast<std::size_t>(columns)};
  }
};

/// A float32 matrix that owns its numbers, rows contiguous.
class Matrix {
 public:
  Matrix() = default;

  Matrix(std::int64_t rows, std::int64_t columns)
      : rows_(rows), columns_(columns), data_(static_cast<std::size_t>(rows * columns)) {}

  /// `data` holds rows * columns numbers.
  Matrix(std::int64_t rows, std::int64_t columns, std::vector<float> data)
      : rows_(rows), columns_(columns), data_(std::move(data)) {
    TYLLM_CHECK(static_cast<std::int64_t>(data_.size()) == rows * columns);
  }

  /// Gives it another shape, keeping memory that is large enough. What it holds afterwards is
  /// unspecified.
  void Reshape(std::int64_t rows, std::int64_t columns) {
    data_.resize(static_cast<std::size_t>(rows * columns));
    rows_ = rows;
    columns_ = columns;
  }

  /// Adds rows at the end; `more` has as many columns, or this has no rows yet.
  void AppendRows(MatrixView more) {
    TYLLM_CHECK(rows_ == 0 || columns_ == more.columns);
    data_.resize(static_cast<std::size_t>(rows_ * more.columns));
    data_.insert(data_.end(), more.data, more.data + more.rows * more.columns);
    columns_ = more.columns;
    rows_ += more.rows;
  }

  std::int64_t rows() const { return rows_; }

  std::int64_t columns() const { return columns_; }

  float* data() { return data_.data(); }

  const float* data() const { return data_.data(); }

  std::span<float> row(std::int64_t r) {
    return {data() + r * columns_, static_cast<std::size_t>(columns_)};
  }

  std::span<const float> row(std::int64_t r) const {
    return {data() + r * columns_, static_cast<std::size_t>(columns_)};
  }

  MatrixView view() const { return {data(), rows_, columns_}; }

  /// Rows [first, first + count).
  MatrixView rows(std::int64_t first, std::int64_t count) const {
    return {data() + first * columns_, count, columns_};
  }

 private:
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
  std::vector<float> data_;
};

}  // namespace tyllm::tensor
