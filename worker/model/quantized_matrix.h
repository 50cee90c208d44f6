// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/raw_vector.h"

namespace tyllm::model {

/// A 4-bit linear layer as integers, independent of how any file packs them. Weight [rows = out,
/// columns = in]; groups run along columns. value(r, c) = (q(r, c) - zero(r, c/group)) * scale(r,
/// c/group).
struct QuantizedMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t group = 0;            ///< divides columns
  RawVector<std::uint8_t> q;         ///< [rows, columns], each 0..15, one a byte
  std::vector<std::uint8_t> zero;    ///< [rows, columns / group], each 0..15
  std::vector<std::uint16_t> scale;  ///< [rows, columns / group], IEEE binary16 bits

  std::int64_t groups() const { return columns / group; }

  /// float32 weights [rows, columns]; exact products of the stored numbers.
  std::vector<float> Dequantize() const;
};

/// A part of a QuantizedMatrix. Everything is a multiple of 8: layouts pack eight codes in a word,
/// along either side.
struct CodeRegion {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
};

}  // namespace tyllm::model
