// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "worker/model/checkpoint.h"

namespace tyllm::compile {

/// A float matrix of a checkpoint, read as binary16 row by row.
class HalfRows {
 public:
  /// `module`.weight; kInvalidArgument when it is not a matrix of floats.
  static Result<HalfRows> Open(const model::Checkpoint& checkpoint, const std::string& module);
  /// Tensor `name` of two or more dimensions, the trailing ones seen as one: kernels of
  /// convolutions that are products.
  static Result<HalfRows> OpenTensor(const model::Checkpoint& checkpoint, const std::string& name);

  std::int64_t rows() const { return view_.shape[0]; }

  std::int64_t columns() const { return view_.shape[1]; }

  /// Columns first.. of row `r`, as many as `out` has room for. A finite number that binary16 does
  /// not reach is kInvalidArgument naming the tensor.
  Status Read(std::int64_t r, std::int64_t first, std::span<std::uint16_t> out) const;

 private:
  HalfRows(std::string name, format::TensorView view)
      : name_(std::move(name)), view_(std::move(view)) {}

  std::string name_;
  format::TensorView view_;
};

}  // namespace tyllm::compile
