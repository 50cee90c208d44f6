// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products with binary16 weights and float32 activations: the head and layers kept in float. The
// packed layout is in docs/formats/packed-weights.md. A token's result does not depend on how many
// tokens are computed together.

#include "worker/die/row_lanes.h"
#include "worker/die/tile.h"

namespace tyllm::die {

/// Bytes of a row block: for each column the weights of 16 rows.
inline constexpr std::uint64_t LinearF16BlockBytes(std::uint64_t columns) {
  return RoundUp(columns * 32, 64);
}

/// Bytes of a packed matrix [rows, columns].
inline constexpr std::uint64_t LinearF16Bytes(std::uint64_t rows, std::uint64_t columns) {
  return RoundUp(rows, kRowBlock) / kRowBlock * LinearF16BlockBytes(columns);
}

namespace internal {

/// Columns whose products a partial sum takes in turn.
inline constexpr int kHalfSums = 4;

/// One row block with `Tokens` tokens. Column c goes to partial sum c % kHalfSums.
template <int Columns, int Tokens>
void MultiplyHalves(const std::uint16_t* block, const float* x, std::size_t pitch, RowFloats* out) {
  RowFloats sums[Tokens][kHalfSums];
  for (auto& token : sums) {
    for (RowFloats& sum : token) {
      sum = FillRows(0);
    }
  }
  constexpr int kFull = Columns / kHalfSums * kHalfSums;
  for (int c = 0; c < kFull; c += kHalfSums) {
    for (int i = 0; i < kHalfSums; ++i) {
      // One stream, little to do: processors fetch ahead better when nothing else asks for memory.
      const RowFloats weight = LoadRowHalves(block + (c + i) * kRowBlock);
      for (int t = 0; t < Tokens; ++t) {
        sums[t][i] = MultiplyAdd(weight, FillRows(x[t * pitch + c + i]), sums[t][i]);
      }
    }
  }
  for (int c = kFull; c < Columns; ++c) {
    const RowFloats weight = LoadRowHalves(block + c * kRowBlock);
    for (int t = 0; t < Tokens; ++t) {
      sums[t][c - kFull] = MultiplyAdd(weight, FillRows(x[t * pitch + c]), sums[t][c - kFull]);
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    out[t] = Add(Add(sums[t][0], sums[t][1]), Add(sums[t][2], sums[t][3]));
  }
}

template <int Rows, int Columns, int Tokens>
void MultiplyHalvesOfTokens(const std::uint16_t* block, int row, const float* x, int tokens,
                            float* out) {
  for (; tokens >= Tokens; tokens -= Tokens) {
    RowFloats sums[Tokens];
    MultiplyHalves<Columns, Tokens>(block, x, Columns, sums);
    for (int t = 0; t < Tokens; ++t) {
      StoreRows(out + static_cast<std::size_t>(t) * Rows + row, sums[t], Rows - row);
    }
    x += static_cast<std::size_t>(Tokens) * Columns;
    out += static_cast<std::size_t>(Tokens) * Rows;
  }
  if constexpr (Tokens > 1) {
    if (tokens > 0) {
      MultiplyHalvesOfTokens<Rows, Columns, Tokens - 1>(block, row, x, tokens, out);
    }
  }
}

/// Tokens that share a pass over a row block: as many as registers hold the sums of.
#if TYLLM_DIE_AVX512
inline constexpr int kHalfTokens = 6;
#else
inline constexpr int kHalfTokens = 1;
#endif

}  // namespace internal

/// Row blocks `blocks` of out [tokens, Rows] = x [tokens, Columns] times the packed weights'
/// transpose.
template <int Rows, int Columns>
void LinearF16(const std::byte* packed, const float* x, std::uint32_t tokens, float* out,
               Slice blocks = BlocksOf(Rows)) {
  for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
    const auto* const block =
        reinterpret_cast<const std::uint16_t*>(packed + b * LinearF16BlockBytes(Columns));
    internal::MultiplyHalvesOfTokens<Rows, Columns, internal::kHalfTokens>(
        block, static_cast<int>(b) * kRowBlock, x, static_cast<int>(tokens), out);
  }
}

/// Rows of a packed matrix [Rows, Columns] (layout of LinearF16, so that a tied head and the
/// embedding are one table) for token ids: out [tokens, Columns]. The shard holds ids from `first`
/// on; others give zeros, so that the sum over dies is the embedding.
template <int Rows, int Columns>
void Embed(const std::byte* packed, std::int32_t first, const std::int32_t* ids, Slice tokens,
           float* out) {
  static_assert(Columns % kLanes == 0);
  for (std::uint32_t t = tokens.begin; t < tokens.end; ++t) {
    float* const row = out + static_cast<std::size_t>(t) * Columns;
    const std::int64_t local = static_cast<std::int64_t>(ids[t]) - first;
    if (local < 0 || local >= Rows) {
      std::memset(row, 0, sizeof(float) * Columns);
      continue;
    }
    const auto* const block = reinterpret_cast<const std::uint16_t*>(
        packed + static_cast<std::size_t>(local / kRowBlock) * LinearF16BlockBytes(Columns));
    const std::uint16_t* const lane = block + local % kRowBlock;
    for (int c = 0; c < Columns; c += kLanes) {
      std::uint16_t halves[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        halves[i] = lane[(c + i) * kRowBlock];
      }
      Store(row + c, LoadHalves(halves));
    }
  }
}

}  // namespace tyllm::die
