// SPDX-License-Identifier: Apache-2.0
#pragma once

// How products of integer weights and int16 activations go over a matrix: one token at a time
// straight from the packed weights, or a tile of tokens after a group of weights was unpacked once
// to a tile. A block (Block4, Block8) knows its layout:
//   static constexpr int kValueBytes;  // of an activation: 2, or 1 (QuantizeToBytes)
//   RowInts Product(int group, const std::byte* values, std::int32_t sum) const;
//   RowFloats Scales(int group) const;
//   RowInts Zeros(int group) const;  // with kValueBytes 1: zero points that the tile still has
//   void Unpack(int group, std::byte* tile) const;  // int16 [Group / 2, 16 rows, 2] or
//                                                   // uint8 [Group / 4, 16 rows, 4]

#include <type_traits>
#include <utility>

#include "worker/die/activations.h"
#include "worker/die/row_lanes.h"

/// Of a function or lambda: whatever it costs.
#define TYLLM_DIE_INLINE __attribute__((always_inline))

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
#else
inline constexpr int kTileBlocks = 1;
inline constexpr int kTileTokens = 4;
#endif
/// Tokens whose sums are kept while the weights of a row block pass by.
inline constexpr int kPassTokens = 96;

/// Weights are read from memory once: asks for those that come about 0.1 us later.
inline void Prefetch(const std::byte* at) {
  __builtin_prefetch(at + 4096);
}

/// What is asked for before a part begins: the first lines of a stream come late.
inline constexpr std::size_t kFetchBytes = 16384;

/// The numbers of a group of a token: number `at` of all.
template <typename Block, int Group>
const std::byte* ValuesOf(const Activations& a, std::size_t at) {
  return reinterpret_cast<const std::byte*>(a.values) + at * Group * Block::kValueBytes;
}

template <typename Block, int Rows, int Columns, int Group>
void MultiplyVector(const std::byte* packed, const Activations& a, std::size_t token, float* out,
                    Slice blocks) {
  for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
    const Block block{packed + b * Block::kBytes};
    RowFloats sums = FillRows(0);
    for (int g = 0; g < Columns / Group; ++g) {
      const std::size_t at = static_cast<std::size_t>(g) * a.rows + token;
      const RowInts product = block.Product(g, ValuesOf<Block, Group>(a, at), a.sums[at]);
      sums =
          MultiplyAdd(ToFloats(product), Multiply(block.Scales(g), FillRows(a.scales[at])), sums);
    }
    const int row = static_cast<int>(b) * kRowBlock;
    StoreRows(out + row, sums, Rows - row);
  }
}

/// Calls `step` with each of 0 .. Count - 1 as a constant, so that elements of arrays stay in
/// registers: g++ 12 leaves arrays in memory that a loop goes over.
template <int Count, typename Step>
TYLLM_DIE_INLINE inline void ForEach(Step step) {
  [&]<int... Index>(std::integer_sequence<int, Index...>) TYLLM_DIE_INLINE {
    (step(std::integral_constant<int, Index>{}), ...);
  }(std::make_integer_sequence<int, Count>{});
}

/// What a tile of tokens needs of a group.
struct TileInput {
  const std::byte* weights;        ///< [Blocks], as Unpack leaves them
  const std::byte* values;         ///< of the first token; Group a token
  const float* scales;             ///< of the first token
  const std::int32_t* value_sums;  ///< of the first token
  const RowFloats* weight_scales;  ///< [Blocks]
  const RowInts* zeros;            ///< [Blocks], where values are bytes
  const float* from;               ///< sums of the groups before: of the first token,
  std::size_t from_pitch;          ///< and floats between tokens
  float* to;                       ///< sums with this group's
  std::size_t to_pitch;
  bool fetch;  ///< whether `to` is far away
};

/// Adds products of int16.
template <int Group, int Blocks, int Tokens>
TYLLM_DIE_INLINE inline void AddPairProducts(const TileInput& in,
                                             RowInts (&products)[Blocks][Tokens]) {
  const auto* const weights = reinterpret_cast<const std::int16_t*>(in.weights);
  const auto* const values = reinterpret_cast<const std::int16_t*>(in.values);
  for (int c = 0; c < Group; c += 2) {
    RowPairs weight[Blocks];
    ForEach<Blocks>([&](auto b) TYLLM_DIE_INLINE {
      weight[b] = LoadRowPairs(weights + (b * Group + c) * kRowBlock);
    });
    ForEach<Tokens>([&](auto t) TYLLM_DIE_INLINE {
      const RowPairs value = FillRowPair(values + t * Group + c);
      ForEach<Blocks>([&](auto b) TYLLM_DIE_INLINE {
        products[b][t] = AddProducts(weight[b], value, products[b][t]);
      });
    });
    ForEach<Blocks * Tokens>(
        [&](auto i) TYLLM_DIE_INLINE { KeepInRegisters(products[i / Tokens][i % Tokens]); });
  }
}

/// Columns whose products of bytes fit into int16 together: 32 * 15 * 127 = 60960 for two int16.
inline constexpr int kByteColumns = 32;

/// Calls add(block, token, weight, value) for each four columns from `begin` to `end`.
template <int Group, int Blocks, int Tokens, typename Add>
TYLLM_DIE_INLINE inline void ForEachQuad(const TileInput& in, int begin, int end, Add add) {
  const auto* const values = reinterpret_cast<const std::int8_t*>(in.values);
  for (int c = begin; c < end; c += 4) {
    RowPairs weight[Blocks];
    ForEach<Blocks>([&](auto b) TYLLM_DIE_INLINE {
      weight[b] = LoadRowPairs(in.weights + (b * Group + c) * kRowBlock);
    });
    ForEach<Tokens>([&](auto t) TYLLM_DIE_INLINE {
      const RowPairs value = FillRowQuad(values + t * Group + c);
      ForEach<Blocks>([&](auto b) TYLLM_DIE_INLINE { add(b, t, weight[b], value); });
    });
  }
}

/// Adds products of bytes.
template <int Group, int Blocks, int Tokens>
TYLLM_DIE_INLINE inline void AddByteProducts(const TileInput& in,
                                             RowInts (&products)[Blocks][Tokens]) {
#if TYLLM_DIE_VNNI
  ForEachQuad<Group, Blocks, Tokens>(
      in, 0, Group, [&](auto b, auto t, RowPairs weight, RowPairs value) TYLLM_DIE_INLINE {
        products[b][t] = AddByteProducts(weight, value, products[b][t]);
        KeepInRegisters(products[b][t]);
      });
#else
  for (int begin = 0; begin < Group; begin += kByteColumns) {
    RowPairs sums[Blocks][Tokens];
    ForEach<Blocks * Tokens>(
        [&](auto i) TYLLM_DIE_INLINE { sums[i / Tokens][i % Tokens] = FillRowPairs(0); });
    ForEachQuad<Group, Blocks, Tokens>(
        in, begin, begin + kByteColumns,
        [&](auto b, auto t, const RowPairs& weight, const RowPairs& value) TYLLM_DIE_INLINE {
          sums[b][t] = Add(sums[b][t], MultiplyBytes(weight, value));
          KeepInRegisters(sums[b][t]);
        });
    ForEach<Blocks * Tokens>([&](auto i) TYLLM_DIE_INLINE {
      RowInts& product = products[i / Tokens][i % Tokens];
      product = AddProducts(sums[i / Tokens][i % Tokens], FillRowPairs(1), product);
    });
  }
#endif
}

/// Adds a group's products of `Tokens` tokens with `Blocks` row blocks.
template <typename Block, int Group, int Blocks, int Tokens>
void MultiplyTile(const TileInput& in) {
  RowInts products[Blocks][Tokens];
  ForEach<Tokens>([&](auto t) TYLLM_DIE_INLINE {
    ForEach<Blocks>([&](auto b) TYLLM_DIE_INLINE {
      if constexpr (Block::kValueBytes == 1) {
        products[b][t] = Subtract(ZeroRowInts(), Multiply(in.zeros[b], in.value_sums[t]));
      } else {
        products[b][t] = ZeroRowInts();
      }
    });
  });
  if constexpr (Block::kValueBytes == 1) {
    AddByteProducts<Group, Blocks, Tokens>(in, products);
  } else {
    AddPairProducts<Group, Blocks, Tokens>(in, products);
  }
  ForEach<Tokens>([&](auto t) TYLLM_DIE_INLINE {
    const RowFloats scale = FillRows(in.scales[t]);
    ForEach<Blocks>([&](auto b) TYLLM_DIE_INLINE {
      const RowFloats before = LoadRows(in.from + t * in.from_pitch + b * kRowBlock);
      StoreRows(
          in.to + t * in.to_pitch + b * kRowBlock,
          MultiplyAdd(ToFloats(products[b][t]), Multiply(in.weight_scales[b], scale), before));
    });
  });
}

/// Full tiles, then one of what is left.
template <typename Block, int Group, int Blocks, int Tokens>
void MultiplyTokens(TileInput in, int tokens) {
  for (; tokens >= Tokens; tokens -= Tokens) {
    for (int t = Tokens; t < 2 * Tokens && t < tokens && in.fetch; ++t) {  // the next tile's
      FetchLines(in.to + static_cast<std::size_t>(t) * in.to_pitch, sizeof(RowFloats) * Blocks);
    }
    MultiplyTile<Block, Group, Blocks, Tokens>(in);
    in.values += Tokens * Group * Block::kValueBytes;
    in.scales += Tokens;
    in.value_sums += Tokens;
    in.from += Tokens * in.from_pitch;
    in.to += Tokens * in.to_pitch;
  }
  if constexpr (Tokens > 1) {
    if (tokens > 0) {
      MultiplyTokens<Block, Group, Blocks, Tokens - 1>(in, tokens);
    }
  }
}

/// `Blocks` row blocks from `first` on with up to kPassTokens tokens from `token` on.
template <typename Block, int Rows, int Columns, int Group, int Blocks>
void MultiplyBlocks(const std::byte* packed, std::size_t first, const Activations& a,
                    std::size_t token, int tokens, float* out) {
  constexpr int kGroups = Columns / Group;
  constexpr std::size_t kTileBytes = std::size_t{kRowBlock} * Group * Block::kValueBytes;
  constexpr std::size_t kPitch = Blocks * kRowBlock;
  alignas(64) std::byte tile[Blocks * kTileBytes];
  alignas(64) float sums[kPassTokens * kPitch];
  alignas(64) constexpr float kNothing[kPitch] = {};
  const int row = static_cast<int>(first) * kRowBlock;
  // Many tokens' last sums go where they belong tile by tile: stores that come all at once, to as
  // many pages as there are tokens, wait for each other.
  const bool straight = tokens > kTileTokens && row + static_cast<int>(kPitch) <= Rows;
  for (int g = 0; g < kGroups; ++g) {
    RowFloats scales[Blocks];
    RowInts zeros[Blocks];
    for (int b = 0; b < Blocks; ++b) {
      const Block block{packed + (first + static_cast<std::size_t>(b)) * Block::kBytes};
      block.Unpack(g, tile + static_cast<std::size_t>(b) * kTileBytes);
      scales[b] = block.Scales(g);
      if constexpr (Block::kValueBytes == 1) {
        zeros[b] = block.Zeros(g);
      }
    }
    const std::size_t at = static_cast<std::size_t>(g) * a.rows + token;
    const bool out_now = straight && g + 1 == kGroups;
    MultiplyTokens<Block, Group, Blocks, kTileTokens>(
        {tile, ValuesOf<Block, Group>(a, at), a.scales + at, a.sums + at, scales, zeros,
         g == 0 ? kNothing : sums, g == 0 ? 0 : kPitch, out_now ? out + row : sums,
         out_now ? std::size_t{Rows} : kPitch, out_now},
        tokens);
  }
  for (int t = 0; t < tokens && !straight; ++t) {
    for (int b = 0; b < Blocks; ++b) {
      StoreRows(out + static_cast<std::size_t>(t) * Rows + row + b * kRowBlock,
                LoadRows(sums + t * kPitch + b * kRowBlock), Rows - row - b * kRowBlock);
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

/// Asks for the beginning of row blocks `blocks`, each of `BlockBytes`.
template <std::size_t BlockBytes>
void FetchBlocks(const std::byte* packed, Slice blocks) {
  const std::size_t bytes = (blocks.end - blocks.begin) * BlockBytes;
  FetchLines(packed + blocks.begin * BlockBytes,
             bytes < internal::kFetchBytes ? bytes : internal::kFetchBytes);
}

}  // namespace tyllm::die
