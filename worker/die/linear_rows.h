// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products of thousands of rows with binary16 weights: visual towers. The packed layout is
// LinearF16's (docs/formats/packed-weights.md). A panel of a row block's weights is widened to
// float32 once for a chunk of rows, and a tile of rows keeps its sums in registers. Every sum goes
// over the columns in order, so a row's result does not depend on how rows are cut.

#include "worker/die/linear_f16.h"

namespace tyllm::die {

namespace internal {

/// Columns of weights that are widened at once: with the rows' numbers they stay in the caches.
inline constexpr int kPanelColumns = 512;
/// Rows that pass by one widened panel.
inline constexpr std::uint32_t kPanelRows = 96;
/// Rows whose sums are in registers.
#if TYLLM_DIE_AVX512
inline constexpr int kPanelTile = 12;
#else
inline constexpr int kPanelTile = 6;
#endif

/// Rows of the input, and where their sums go.
struct PanelRows {
  const float* x;
  std::size_t pitch;  ///< floats between rows of x
  float* out;
  std::size_t out_pitch;
};

/// `Rows` rows times one panel [columns, 16 rows of weights]. The sums begin with `start`, or with
/// what `out` has when it is nullptr.
template <int Rows>
void MultiplyPanel(const float* weights, int columns, const PanelRows& at, const float* start) {
  RowFloats sums[Rows];
  for (int r = 0; r < Rows; ++r) {
    sums[r] = LoadRows(start != nullptr ? start : at.out + r * at.out_pitch);
  }
  for (int c = 0; c < columns; ++c) {
    const RowFloats weight = LoadRows(weights + c * kRowBlock);
    for (int r = 0; r < Rows; ++r) {
      sums[r] = MultiplyAdd(weight, FillRows(at.x[r * at.pitch + c]), sums[r]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    StoreRows(at.out + r * at.out_pitch, sums[r]);
  }
}

/// Full tiles, then one of what is left.
template <int Rows>
void MultiplyPanelRows(const float* weights, int columns, PanelRows at, std::uint32_t rows,
                       const float* start) {
  for (; rows >= static_cast<std::uint32_t>(Rows); rows -= Rows) {
    MultiplyPanel<Rows>(weights, columns, at, start);
    at.x += Rows * at.pitch;
    at.out += Rows * at.out_pitch;
  }
  if constexpr (Rows > 1) {
    if (rows > 0) {
      MultiplyPanelRows<Rows - 1>(weights, columns, at, rows, start);
    }
  }
}

}  // namespace internal

/// Row blocks `blocks` of out [rows, Rows] = x [rows, Columns] (rows `pitch` floats apart) times
/// the packed weights' transpose, + bias [Rows] unless it is nullptr. Rows is a multiple of 16.
template <int Rows, int Columns>
void LinearRows(const std::byte* packed, const float* bias, const float* x, std::size_t pitch,
                std::uint32_t rows, float* out, Slice blocks = BlocksOf(Rows)) {
  static_assert(Rows % kRowBlock == 0);
  using internal::kPanelColumns;
  using internal::kPanelRows;
  constexpr float kZeros[kRowBlock] = {};
  alignas(64) float panel[kPanelColumns * kRowBlock];
  for (std::uint32_t first = 0; first < rows; first += kPanelRows) {
    const std::uint32_t count = rows - first < kPanelRows ? rows - first : kPanelRows;
    for (int column = 0; column < Columns; column += kPanelColumns) {
      const int columns = Columns - column < kPanelColumns ? Columns - column : kPanelColumns;
      for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
        const auto* const block =
            reinterpret_cast<const std::uint16_t*>(packed + b * LinearF16BlockBytes(Columns)) +
            static_cast<std::size_t>(column) * kRowBlock;
        for (int c = 0; c < columns; ++c) {
          StoreRows(panel + c * kRowBlock, LoadRowHalves(block + c * kRowBlock));
        }
        const float* const begin = bias != nullptr ? bias + b * kRowBlock : kZeros;
        internal::MultiplyPanelRows<internal::kPanelTile>(
            panel, columns,
            {x + first * pitch + column, pitch,
             out + static_cast<std::size_t>(first) * Rows + b * kRowBlock, Rows},
            count, column == 0 ? begin : nullptr);
      }
    }
  }
}

}  // namespace tyllm::die
