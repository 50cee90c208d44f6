// SPDX-License-Identifier: Apache-2.0
#pragma once

// How products of integer weights and int16 activations go over a matrix: one token at a time
// straight from the packed weights, or a tile of tokens after a group of weights was unpacked once
// to int16. A block (Block4, Block8) knows its layout:
//   RowInts Product(int group, const std::int16_t* values, std::int32_t sum) const;
//   RowFloats Scales(int group) const;
//   void Unpack(int group, std::int16_t* tile) const;  // [Group / 2, 16 rows, 2]

#include "worker/die/activations.h"
#include "worker/die/row_lanes.h"

namespace tyllm::die {

/// All row blocks of a matrix.
constexpr Slice BlocksOf(std::uint32_t rows) {
  return {(rows + kRowBlock - 1) / kRowBlock};
}

namespace internal {

// Row blocks and tokens whose sums a tile keeps in registers.
#if TYLLM_DIE_AVX512
inline constexpr int kTileBlocks = 2;
inline constexpr int kTileTokens = 10;
#elif defined(__clang__)
inline constexpr int kTileBlocks = 1;
inline constexpr int kTileTokens = 6;
#else  // g++ 12 spills the accumulators of other tiles
inline constexpr int kTileBlocks = 2;
inline constexpr int kTileTokens = 2;
#endif
/// Tokens whose sums are kept while the weights of a row block pass by.
inline constexpr int kPassTokens = 96;

/// Weights are read from memory once: asks for those that come about 0.1 us later.
inline void Prefetch(const std::byte* at) {
  __builtin_prefetch(at + 4096);
}

template <typename Block, int Rows, int Columns, int Group>
void MultiplyVector(const std::byte* packed, const Activations& a, std::size_t token, float* out,
                    Slice blocks) {
  for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
    const Block block{packed + b * Block::kBytes};
    RowFloats sums = FillRows(0);
    for (int g = 0; g < Columns / Group; ++g) {
      const std::size_t at = static_cast<std::size_t>(g) * a.rows + token;
      const RowInts product = block.Product(g, a.values + at * Group, a.sums[at]);
      sums =
          MultiplyAdd(ToFloats(product), Multiply(block.Scales(g), FillRows(a.scales[at])), sums);
    }
    const int row = static_cast<int>(b) * kRowBlock;
    StoreRows(out + row, sums, Rows - row);
  }
}

/// What a tile of tokens needs of a group.
struct TileInput {
  const std::int16_t* weights;     ///< [Blocks, Group / 2, 16 rows, 2]
  const std::int16_t* values;      ///< of the first token; Group a token
  const float* scales;             ///< of the first token
  const RowFloats* weight_scales;  ///< [Blocks]
  RowFloats* sums;                 ///< [tokens, Blocks]
};

/// Adds a group's products of `Tokens` tokens with `Blocks` row blocks.
template <int Group, int Blocks, int Tokens>
void MultiplyTile(const TileInput& in) {
  RowInts products[Blocks][Tokens];
  for (int b = 0; b < Blocks; ++b) {
    for (int t = 0; t < Tokens; ++t) {
      products[b][t] = ZeroRowInts();
    }
  }
  for (int c = 0; c < Group; c += 2) {
    RowPairs weight[Blocks];
    for (int b = 0; b < Blocks; ++b) {
      weight[b] = LoadRowPairs(in.weights + (b * Group + c) * kRowBlock);
    }
    for (int t = 0; t < Tokens; ++t) {
      const RowPairs value = FillRowPair(in.values + t * Group + c);
      for (int b = 0; b < Blocks; ++b) {
        products[b][t] = AddProducts(weight[b], value, products[b][t]);
      }
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    const RowFloats scale = FillRows(in.scales[t]);
    for (int b = 0; b < Blocks; ++b) {
      RowFloats& sum = in.sums[t * Blocks + b];
      sum = MultiplyAdd(ToFloats(products[b][t]), Multiply(in.weight_scales[b], scale), sum);
    }
  }
}

/// Full tiles, then one of what is left.
template <int Group, int Blocks, int Tokens>
void MultiplyTokens(TileInput in, int tokens) {
  for (; tokens >= Tokens; tokens -= Tokens) {
    MultiplyTile<Group, Blocks, Tokens>(in);
    in.values += Tokens * Group;
    in.scales += Tokens;
    in.sums += Tokens * Blocks;
  }
  if constexpr (Tokens > 1) {
    if (tokens > 0) {
      MultiplyTokens<Group, Blocks, Tokens - 1>(in, tokens);
    }
  }
}

/// `Blocks` row blocks from `first` on with up to kPassTokens tokens from `token` on.
template <typename Block, int Rows, int Columns, int Group, int Blocks>
void MultiplyBlocks(const std::byte* packed, std::size_t first, const Activations& a,
                    std::size_t token, int tokens, float* out) {
  alignas(64) std::int16_t tile[Blocks * kRowBlock * Group];
  RowFloats sums[kPassTokens * Blocks];
  for (int i = 0; i < tokens * Blocks; ++i) {
    sums[i] = FillRows(0);
  }
  for (int g = 0; g < Columns / Group; ++g) {
    RowFloats scales[Blocks];
    for (int b = 0; b < Blocks; ++b) {
      const Block block{packed + (first + static_cast<std::size_t>(b)) * Block::kBytes};
      block.Unpack(g, tile + b * kRowBlock * Group);
      scales[b] = block.Scales(g);
    }
    const std::size_t at = static_cast<std::size_t>(g) * a.rows + token;
    MultiplyTokens<Group, Blocks, kTileTokens>(
        {tile, a.values + at * Group, a.scales + at, scales, sums}, tokens);
  }
  for (int t = 0; t < tokens; ++t) {
    for (int b = 0; b < Blocks; ++b) {
      const int row = (static_cast<int>(first) + b) * kRowBlock;
      StoreRows(out + static_cast<std::size_t>(t) * Rows + row, sums[t * Blocks + b], Rows - row);
    }
  }
}

template <typename Block, int Rows, int Columns, int Group>
void MultiplyMatrix(const std::byte* packed, const Activations& a, std::uint32_t tokens, float* out,
                    Slice blocks) {
  if (tokens == 1) {
    MultiplyVector<Block, Rows, Columns, Group>(packed, a, 0, out, blocks);
    return;
  }
  for (std::size_t done = 0; done < tokens; done += kPassTokens) {
    const std::size_t left = tokens - done;
    const int now = static_cast<int>(left < kPassTokens ? left : kPassTokens);
    float* const to = out + done * Rows;
    std::size_t b = blocks.begin;
    for (; b + kTileBlocks <= blocks.end; b += kTileBlocks) {
      MultiplyBlocks<Block, Rows, Columns, Group, kTileBlocks>(packed, b, a, done, now, to);
    }
    for (; b < blocks.end; ++b) {
      MultiplyBlocks<Block, Rows, Columns, Group, 1>(packed, b, a, done, now, to);
    }
  }
}

}  // namespace internal

}  // namespace tyllm::die
