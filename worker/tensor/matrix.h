// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace tyllm::tensor {

/// A read-only float32 matrix, rows contiguous. `data` is an address of the host's memory or of the
/// memory of the Backend that made the matrix (only that backend may follow it then).
struct MatrixView {
  const float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  std::span<const float> row(std::int64_t r) const {
    return {data + r * columns, static_cast<std::size_t>(columns)};
  }
};

/// Room for numbers in another memory than the host's. Made and understood by one Backend, which
/// outlives it.
class DeviceBlock {
 public:
  virtual ~DeviceBlock() = default;
  /// An address in that memory.
  virtual float* data() = 0;
  virtual std::int64_t capacity() const = 0;  ///< floats
  /// Room for this many floats; what it holds afterwards is unspecified.
  virtual void Grow(std::int64_t floats) = 0;
};

/// A float32 matrix that owns its numbers, rows contiguous, in the host's memory or in a backend's.
/// Numbers that are on a device may only be handed to operations of that backend.
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

  /// On a device, with room for rows * columns numbers.
  Matrix(std::int64_t rows, std::int64_t columns, std::unique_ptr<DeviceBlock> block)
      : rows_(rows), columns_(columns), block_(std::move(block)) {}

  Matrix(Matrix&& other) noexcept
      : rows_(std::exchange(other.rows_, 0)),
        columns_(std::exchange(other.columns_, 0)),
        data_(std::move(other.data_)),
        block_(std::move(other.block_)) {}

  Matrix& operator=(Matrix&& other) noexcept {
    rows_ = std::exchange(other.rows_, 0);
    columns_ = std::exchange(other.columns_, 0);
    data_ = std::move(other.data_);
    block_ = std::move(other.block_);
    return *this;
  }

  /// Of matrices of the host only; see Backend::Copy.
  Matrix(const Matrix& other) : rows_(other.rows_), columns_(other.columns_), data_(other.data_) {
    TYLLM_CHECK(!other.on_device());
  }

  Matrix& operator=(const Matrix& other) { return *this = Matrix(other); }

  ~Matrix() = default;

  bool on_device() const { return block_ != nullptr; }

  /// Gives it another shape, keeping memory that is large enough. What it holds afterwards is
  /// unspecified.
  void Reshape(std::int64_t rows, std::int64_t columns) {
    if (!block_) {
      data_.resize(static_cast<std::size_t>(rows * columns));
    } else if (rows * columns > block_->capacity()) {
      block_->Grow(rows * columns);
    }
    rows_ = rows;
    columns_ = columns;
  }

  /// Adds rows of the host at the end of a matrix of the host; `more` has as many columns, or this
  /// has no rows yet.
  void AppendRows(MatrixView more) {
    TYLLM_CHECK(!on_device() && (rows_ == 0 || columns_ == more.columns));
    data_.resize(static_cast<std::size_t>(rows_ * more.columns));
    data_.insert(data_.end(), more.data, more.data + more.rows * more.columns);
    columns_ = more.columns;
    rows_ += more.rows;
  }

  std::int64_t rows() const { return rows_; }

  std::int64_t columns() const { return columns_; }

  float* data() { return block_ ? block_->data() : data_.data(); }

  const float* data() const { return block_ ? block_->data() : data_.data(); }

  /// A row of a matrix of the host; see Backend::Fetch.
  std::span<float> row(std::int64_t r) {
    TYLLM_CHECK(!on_device());
    return {data_.data() + r * columns_, static_cast<std::size_t>(columns_)};
  }

  std::span<const float> row(std::int64_t r) const {
    TYLLM_CHECK(!on_device());
    return {data_.data() + r * columns_, static_cast<std::size_t>(columns_)};
  }

  /// All numbers, wherever they are: a vector for an operation of the backend.
  std::span<const float> numbers() const {
    return {data(), static_cast<std::size_t>(rows_ * columns_)};
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
  std::unique_ptr<DeviceBlock> block_;
};

}  // namespace tyllm::tensor
