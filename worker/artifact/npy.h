// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/mapped_file.h"

// NumPy's array files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html),
// version 1.0, as far as the embedding table needs them: two dimensions, binary16, C order.
namespace tyllm::artifact {

/// The header of such a file, a multiple of 64 bytes.
std::string NpyHeader(std::int64_t rows, std::int64_t columns);

/// An embedding table, mapped: rows of binary16.
class NpyTable {
 public:
  /// kDataLoss names the file and what is wrong with it.
  static Result<NpyTable> Open(const Path& path);

  std::int64_t rows() const { return rows_; }

  std::int64_t columns() const { return columns_; }

  /// MappedFile::Forget, of all rows.
  void Forget() const { file_.Forget(file_.bytes()); }

  /// Row `r` as float32 into `out` [columns].
  void Read(std::int64_t r, std::span<float> out) const;

 private:
  explicit NpyTable(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
  std::size_t data_ = 0;
};

}  // namespace tyllm::artifact
