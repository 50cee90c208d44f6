// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products with binary16 weights that have eight significant bits, as those that once were bfloat16
// do: stored in 12 bits, without loss. Results have the bits of linear_f16.h, whose sums these are.
// The packed layout is in docs/formats/packed-weights.md.

#include <algorithm>

#include "worker/die/brain_rows.h"
#include "worker/die/linear_f16.h"

namespace tyllm::die {

/// Bytes before the steps of a row block: a table of 16 high halves, the number of exceptions (4
/// bytes), and room for `exceptions` of 4 bytes.
inline constexpr std::uint64_t In12HeadBytes(std::uint64_t exceptions) {
  return RoundUp(kRowBlock + 4 + exceptions * 4, 64);
}

/// Exceptions that have room in the head that is needed for `exceptions`.
inline constexpr std::uint64_t In12Room(std::uint64_t exceptions) {
  return (In12HeadBytes(exceptions) - kRowBlock - 4) / 4;
}

/// Bytes of a row block. Columns are a multiple of kStepColumns.
inline constexpr std::uint64_t LinearF16In12BlockBytes(std::uint64_t columns,
                                                       std::uint64_t exceptions) {
  return In12HeadBytes(exceptions) + columns / kStepColumns * kStepBytes;
}

/// Bytes of a packed matrix [rows, columns].
inline constexpr std::uint64_t LinearF16In12Bytes(std::uint64_t rows, std::uint64_t columns,
                                                  std::uint64_t exceptions) {
  return RoundUp(rows, kRowBlock) / kRowBlock * LinearF16In12BlockBytes(columns, exceptions);
}

/// A number whose high half is not in the table of its row block.
struct In12Exception {
  std::uint32_t bits;  ///< column * 16 + row, and above 24 bits the high half

  int column() const { return static_cast<int>((bits & 0xFFFFFFU) / kRowBlock); }

  int row() const { return static_cast<int>(bits % kRowBlock); }

  std::uint32_t high() const { return bits >> 24U; }
};

/// One row block as it lies in memory.
struct BlockIn12 {
  const std::byte* memory;
  std::uint64_t head;  ///< In12HeadBytes

  const std::byte* Table() const { return memory; }

  int Exceptions() const {
    std::int32_t count;
    std::memcpy(&count, memory + kRowBlock, sizeof(count));
    return count;
  }

  /// In the order of their columns.
  In12Exception Exception(int i) const {
    In12Exception exception;
    std::memcpy(&exception, memory + kRowBlock + 4 + 4 * static_cast<std::size_t>(i),
                sizeof(exception));
    return exception;
  }

  const std::byte* Step(int column) const {
    return memory + head + static_cast<std::size_t>(column) / kStepColumns * kStepBytes;
  }

  /// The low half of a number.
  std::uint32_t Low(int row, int column) const {
    const int half = column % kStepColumns / kBrainColumns;
    return static_cast<std::uint32_t>(
        Step(column)[64 * (half + 1) + BrainPlace(row, column % kBrainColumns)]);
  }

  /// A number that is no exception.
  float Number(int row, int column) const {
    const auto both =
        static_cast<std::uint32_t>(Step(column)[BrainPlace(row, column % kBrainColumns)]);
    const std::uint32_t nibble = column % kStepColumns < kBrainColumns ? both & 15U : both >> 4U;
    return JoinBrain(static_cast<std::uint32_t>(Table()[nibble]), Low(row, column));
  }
};

namespace internal {

static_assert(kHalfSums == kBrainColumns, "columns go to the partial sums of linear_f16.h");

/// Columns [column, end) as float32 [columns, 16]; `next` is the first exception that is not before
/// them, and becomes the first one behind.
inline void UnpackTile(const BlockIn12& block, const RowPairs& table, int column, int end,
                       int& next, float* tile) {
  for (int c = column; c < end; c += kStepColumns) {
    RowFloats weights[kStepColumns];
    UnpackStep(table, block.Step(c), weights);
    for (int i = 0; i < kStepColumns; ++i) {
      StoreRows(tile + (c - column + i) * kRowBlock, weights[i]);
    }
  }
  for (; next < block.Exceptions() && block.Exception(next).column() < end; ++next) {
    const In12Exception exception = block.Exception(next);
    tile[(exception.column() - column) * kRowBlock + exception.row()] =
        JoinBrain(exception.high(), block.Low(exception.row(), exception.column()));
  }
}

// Tokens that share a pass over unpacked weights, and the partial sums that one keeps in registers.
#if TYLLM_DIE_AVX512
inline constexpr int kPassTokensIn12 = 5;
inline constexpr int kPassSums = 20;
#else
inline constexpr int kPassTokensIn12 = 6;
inline constexpr int kPassSums = 6;
#endif

/// Of the partial sums of a token, how many are added to in one pass over a tile.
constexpr int SumsOfPass(int tokens) {
  const int fit = kPassSums / tokens;
  return fit >= kHalfSums ? kHalfSums : fit >= kHalfSums / 2 ? kHalfSums / 2 : 1;
}

/// Adds the products of a tile's `columns` with `Tokens` tokens: a pass over columns 0, 4, 8 and
/// so on, the next over 1, 5, 9, where registers do not hold all partial sums at once.
template <int Tokens>
void AddTile(const float* tile, int columns, const float* x, std::size_t pitch,
             RowFloats (*sums)[kHalfSums]) {
  constexpr int kOwn = SumsOfPass(Tokens);
  for (int first = 0; first < kHalfSums; first += kOwn) {
    RowFloats own[Tokens][kOwn];
    for (int t = 0; t < Tokens; ++t) {
      for (int i = 0; i < kOwn; ++i) {
        own[t][i] = sums[t][first + i];
      }
    }
    for (int c = first; c < columns; c += kHalfSums) {
      for (int i = 0; i < kOwn; ++i) {
        const RowFloats weight = LoadRows(tile + (c + i) * kRowBlock);
        for (int t = 0; t < Tokens; ++t) {
          own[t][i] = MultiplyAdd(weight, FillRows(x[t * pitch + c + i]), own[t][i]);
        }
      }
    }
    for (int t = 0; t < Tokens; ++t) {
      for (int i = 0; i < kOwn; ++i) {
        sums[t][first + i] = own[t][i];
      }
    }
  }
}

inline RowFloats Total(const RowFloats* sums) {
  return Add(Add(sums[0], sums[1]), Add(sums[2], sums[3]));
}

/// Columns that are added at once straight from the packed weights: few enough to stay in the first
/// cache.
inline constexpr int kPlainColumns = 256;

/// One row block with `Tokens` tokens, summed as MultiplyHalves does; straight from the packed
/// weights but for the steps that have exceptions.
template <int Columns, int Tokens>
void MultiplyPackedIn12(const BlockIn12& block, const float* x,
                        RowFloats (&sums)[Tokens][kHalfSums]) {
  std::fill_n(&sums[0][0], Tokens * kHalfSums, FillRows(0));
  const RowPairs table = LoadBrainTable(block.Table());
  const int exceptions = block.Exceptions();
  int next = 0;
  for (int c = 0; c < Columns;) {
    const int exception = next < exceptions ? block.Exception(next).column() : Columns;
    const int plain = std::min(exception / kStepColumns * kStepColumns - c, kPlainColumns);
    if (plain > 0) {
      AddSteps<Tokens>(table, block.Step(c), plain, x + c, Columns, sums);
      c += plain;
      continue;
    }
    alignas(64) float tile[kStepColumns * kRowBlock];
    UnpackTile(block, table, c, c + kStepColumns, next, tile);
    AddTile<Tokens>(tile, kStepColumns, x + c, Columns, sums);
    c += kStepColumns;
  }
}

template <int Rows, int Columns, int Tokens>
void MultiplyPackedIn12(const BlockIn12& block, int row, const float* x, float* out) {
  RowFloats sums[Tokens][kHalfSums];
  MultiplyPackedIn12<Columns, Tokens>(block, x, sums);
  for (int t = 0; t < Tokens; ++t) {
    StoreRows(out + static_cast<std::size_t>(t) * Rows + row, Total(sums[t]), Rows - row);
  }
}

#if TYLLM_DIE_AVX512

/// One row block with several tokens. Registers hold the sums of kPassTokensIn12 besides what is
/// unpacked: unpacking once more for the others costs less than a way through memory.
template <int Rows, int Columns, int Tokens = kPassTokensIn12>
void MultiplyIn12(const BlockIn12& block, int row, const float* x, std::uint32_t tokens,
                  float* out) {
  for (; tokens >= Tokens; tokens -= Tokens) {
    MultiplyPackedIn12<Rows, Columns, Tokens>(block, row, x, out);
    x += static_cast<std::size_t>(Tokens) * Columns;
    out += static_cast<std::size_t>(Tokens) * Rows;
  }
  if constexpr (Tokens > 1) {
    if (tokens > 0) {
      MultiplyIn12<Rows, Columns, Tokens - 1>(block, row, x, tokens, out);
    }
  }
}

#else

/// Columns that are unpacked at once for several tokens.
inline constexpr int kTileColumns = 128;
/// Tokens whose sums are kept while a row block is unpacked.
inline constexpr std::uint32_t kIn12Tokens = 24;

template <int Tokens>
void AddTileOfTokens(const float* tile, int columns, const float* x, std::size_t pitch,
                     std::uint32_t tokens, RowFloats (*sums)[kHalfSums]) {
  for (; tokens >= Tokens; tokens -= Tokens) {
    AddTile<Tokens>(tile, columns, x, pitch, sums);
    x += Tokens * pitch;
    sums += Tokens;
  }
  if constexpr (Tokens > 1) {
    if (tokens > 0) {
      AddTileOfTokens<Tokens - 1>(tile, columns, x, pitch, tokens, sums);
    }
  }
}

/// One row block with up to kIn12Tokens tokens: tiles are unpacked to memory, once for all of them.
template <int Rows, int Columns>
void MultiplyTilesIn12(const BlockIn12& block, int row, const float* x, std::uint32_t tokens,
                       float* out) {
  RowFloats sums[kIn12Tokens][kHalfSums];
  std::fill_n(&sums[0][0], tokens * kHalfSums, FillRows(0));
  const RowPairs table = LoadBrainTable(block.Table());
  int next = 0;
  for (int c = 0; c < Columns; c += kTileColumns) {
    const int end = std::min(c + kTileColumns, Columns);
    alignas(64) float tile[kTileColumns * kRowBlock];
    UnpackTile(block, table, c, end, next, tile);
    AddTileOfTokens<kPassTokensIn12>(tile, end - c, x + c, Columns, tokens, sums);
  }
  for (std::uint32_t t = 0; t < tokens; ++t) {
    StoreRows(out + std::size_t{t} * Rows + row, Total(sums[t]), Rows - row);
  }
}

/// One row block.
template <int Rows, int Columns>
void MultiplyIn12(const BlockIn12& block, int row, const float* x, std::uint32_t tokens,
                  float* out) {
  if (tokens == 1) {
    MultiplyPackedIn12<Rows, Columns, 1>(block, row, x, out);
    return;
  }
  for (std::uint32_t t = 0; t < tokens; t += kIn12Tokens) {
    MultiplyTilesIn12<Rows, Columns>(block, row, x + std::size_t{t} * Columns,
                                     std::min(tokens - t, kIn12Tokens),
                                     out + std::size_t{t} * Rows);
  }
}

#endif

}  // namespace internal

/// Row blocks `blocks` of out [tokens, Rows] = x [tokens, Columns] times the packed weights'
/// transpose; row blocks have room for `Exceptions`.
template <int Rows, int Columns, int Exceptions>
void LinearF16In12(const std::byte* packed, const float* x, std::uint32_t tokens, float* out,
                   Slice blocks = BlocksOf(Rows)) {
  static_assert(Columns % kStepColumns == 0);
  for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
    const BlockIn12 block{packed + b * LinearF16In12BlockBytes(Columns, Exceptions),
                          In12HeadBytes(Exceptions)};
    internal::MultiplyIn12<Rows, Columns>(block, static_cast<int>(b) * kRowBlock, x, tokens, out);
  }
}

/// Embed of linear_f16.h from the layout of LinearF16In12.
template <int Rows, int Columns, int Exceptions>
void EmbedIn12(const std::byte* packed, std::int32_t first, const std::int32_t* ids, Slice tokens,
               float* out) {
  for (std::uint32_t t = tokens.begin; t < tokens.end; ++t) {
    float* const row = out + static_cast<std::size_t>(t) * Columns;
    const std::int64_t local = static_cast<std::int64_t>(ids[t]) - first;
    if (local < 0 || local >= Rows) {
      std::memset(row, 0, sizeof(float) * Columns);
      continue;
    }
    const BlockIn12 block{packed + static_cast<std::size_t>(local / kRowBlock) *
                                       LinearF16In12BlockBytes(Columns, Exceptions),
                          In12HeadBytes(Exceptions)};
    const int lane = static_cast<int>(local % kRowBlock);
    for (int c = 0; c < Columns; ++c) {
      row[c] = block.Number(lane, c);
    }
    for (int i = 0; i < block.Exceptions(); ++i) {
      const In12Exception exception = block.Exception(i);
      if (exception.row() == lane) {
        row[exception.column()] = JoinBrain(exception.high(), block.Low(lane, exception.column()));
      }
    }
  }
}

}  // namespace tyllm::die
