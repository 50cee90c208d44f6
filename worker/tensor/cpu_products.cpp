// SPDX-License-Identifier: Apache-2.0
// Linear layers and Gram matrices: one product a tile of the result.
#include <algorithm>

#include "worker/tensor/cpu_backend.h"

namespace tyllm::tensor {

namespace {

/// Tiles of a linear layer's result: large enough for the BLAS to be fast, small enough for 2 to 64
/// threads to share a batch of a few thousand tokens. A single row is a matrix-vector product,
/// which only reads the weights.
constexpr std::int64_t kTileRows = 256;
constexpr std::int64_t kTileColumns = 512;
constexpr std::int64_t kTileColumnsOfFewRows = 128;
constexpr std::int64_t kFewRows = 32;

/// Gram matrices are square and often narrow: a small tile keeps all threads busy.
std::int64_t GramTile(std::int64_t columns) {
  return columns <= 1024 ? 128 : 256;
}

/// Copies the upper half of rows [row, row + rows) and columns [column, column + columns) of a
/// square matrix to the other side of its diagonal, in blocks that stay in the first cache.
void Mirror(float* square, std::int64_t width, std::int64_t row, std::int64_t rows,
            std::int64_t column, std::int64_t columns) {
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t from = row; from < row + rows; from += kBlock) {
    const std::int64_t end = std::min(from + kBlock, row + rows);
    for (std::int64_t c = std::max(column, from + 1); c < column + columns; ++c) {
      for (std::int64_t r = from; r < std::min(end, c); ++r) {
        square[c * width + r] = square[r * width + c];
      }
    }
  }
}

std::int64_t Tiles(std::int64_t length, std::int64_t tile) {
  return (length + tile - 1) / tile;
}

}  // namespace

void CpuBackend::Linear(MatrixView x, MatrixView w, std::span<const float> bias, Matrix& out) {
  TYLLM_CHECK(x.columns == w.columns);
  TYLLM_CHECK(bias.empty() || static_cast<std::int64_t>(bias.size()) == w.rows);
  out.Reshape(x.rows, w.rows);
  const std::int64_t tile_columns = x.rows <= kFewRows ? kTileColumnsOfFewRows : kTileColumns;
  const std::int64_t across = Tiles(w.rows, tile_columns);
  lanes_.ForEach(Tiles(x.rows, kTileRows) * across, [&](std::int64_t task, std::vector<float>&) {
    const std::int64_t row = task / across * kTileRows;
    const std::int64_t column = task % across * tile_columns;
    const ProductShape shape{.rows = std::min(kTileRows, x.rows - row),
                             .columns = std::min(tile_columns, w.rows - column),
                             .depth = x.columns};
    float* corner = out.data() + row * w.rows + column;
    if (!bias.empty()) {
      for (std::int64_t r = 0; r < shape.rows; ++r) {
        std::copy_n(bias.data() + column, shape.columns, corner + r * w.rows);
      }
    }
    products_.multiply_transposed(shape, {x.data + row * x.columns, x.columns},
                                  {w.data + column * w.columns, w.columns}, 1.0F,
                                  bias.empty() ? 0.0F : 1.0F, corner, w.rows);
  });
}

void CpuBackend::AccumulateGram(MatrixView x, Matrix& gram) {
  const std::int64_t width = x.columns;
  TYLLM_CHECK(gram.rows() == width && gram.columns() == width);
  const std::int64_t tile = GramTile(width);
  const std::int64_t across = Tiles(width, tile);
  lanes_.ForEach(across * across, [&](std::int64_t task, std::vector<float>&) {
    const std::int64_t row = task / across * tile;
    const std::int64_t column = task % across * tile;
    if (row > column) {
      return;
    }
    const ProductShape shape{.rows = std::min(tile, width - row),
                             .columns = std::min(tile, width - column),
                             .depth = x.rows};
    float* const corner = gram.data() + row * width + column;
    if (row == column) {
      products_.accumulate_square(shape.columns, x.rows, {x.data + row, width}, corner, width);
    } else {
      products_.accumulate_transposed(shape, {x.data + row, width}, {x.data + column, width},
                                      corner, width);
    }
    Mirror(gram.data(), width, row, shape.rows, column, shape.columns);
  });
}

}  // namespace tyllm::tensor
