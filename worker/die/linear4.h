// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products with 4-bit weights and int16 activations (W4A16). The packed layout is in
// docs/formats/packed-weights.md; worker/die/packing.h makes it. A group's sum is an exact integer,
// and groups are added in order, so that a token's result does not depend on how many tokens are
// computed together.

#include "worker/die/activations.h"
#include "worker/die/lanes.h"

namespace tyllm::die {

/// Weight rows that are interleaved.
inline constexpr int kRowBlock = 8;

/// Bytes of a row block: nibbles, scales (8 binary16 a group), zero points (8 nibbles a group).
inline constexpr std::uint64_t Linear4BlockBytes(std::uint64_t columns, std::uint64_t group) {
  return RoundUp(columns * 4 + columns / group * 20, 64);
}

/// Bytes of a packed matrix [rows, columns].
inline constexpr std::uint64_t Linear4Bytes(std::uint64_t rows, std::uint64_t columns,
                                            std::uint64_t group) {
  return RoundUp(rows, kRowBlock) / kRowBlock * Linear4BlockBytes(columns, group);
}

namespace internal {

#ifdef __clang__
inline constexpr int kTileBlocks = 2;
inline constexpr int kTileTokens = 6;
#else  // g++ 12 spills the accumulators of larger tiles
inline constexpr int kTileBlocks = 4;
inline constexpr int kTileTokens = 2;
#endif
/// Tokens whose sums are kept while the weights of a row block pass by.
inline constexpr int kPassTokens = 96;

/// One row block as it lies in memory.
template <int Columns, int Group>
struct Block4 {
  const std::byte* nibbles;

  const std::byte* Group4(int g) const { return nibbles + static_cast<std::size_t>(g) * Group * 4; }

  Floats Scales(int g) const {
    return LoadHalves(reinterpret_cast<const std::uint16_t*>(nibbles + Columns * 4 +
                                                             static_cast<std::size_t>(g) * 16));
  }

  Ints Zeros(int g) const {
    std::uint32_t packed;
    std::memcpy(&packed,
                nibbles + Columns * 4 + Columns / Group * 16 + static_cast<std::size_t>(g) * 4,
                sizeof(packed));
    return Nibbles(packed);
  }
};

/// Stores the lanes that are rows of the matrix.
inline void StoreRows(float* out, const Floats& sums, int rows) {
  if (rows >= kLanes) {
    Store(out, sums);
    return;
  }
  float lane[kLanes];
  Store(lane, sums);
  for (int i = 0; i < rows; ++i) {
    out[i] = lane[i];
  }
}

/// Sum over a group of (q - zero) * value, a row a lane. Odd nibbles are used where they stand,
/// times 16.
template <int Columns, int Group>
Ints GroupProduct(const Block4<Columns, Group>& block, int g, const std::int16_t* values,
                  std::int32_t sum) {
  static_assert(Group <= 512, "the sums of odd nibbles would overflow");
  const Pairs low = FillPairs(0x000F);
  const Pairs high = FillPairs(0x00F0);
  const std::byte* at = block.Group4(g);
  Ints even = ZeroInts();
  Ints odd = ZeroInts();
  for (int c = 0; c < Group; c += 8) {
    const Pairs first = LoadPairs(at + c * 4);
    const Pairs second = ShiftRight<8>(first);
    __builtin_prefetch(at + c * 4 + 1024);
    even = Add(even, MultiplyPairs(And(first, low), FillPair(values + c)));
    odd = Add(odd, MultiplyPairs(And(first, high), FillPair(values + c + 2)));
    even = Add(even, MultiplyPairs(And(second, low), FillPair(values + c + 4)));
    odd = Add(odd, MultiplyPairs(And(second, high), FillPair(values + c + 6)));
  }
  return Subtract(Add(even, ShiftRight<4>(odd)), Multiply(block.Zeros(g), FillInts(sum)));
}

template <int Rows, int Columns, int Group>
void MultiplyVector(const std::byte* packed, const Activations& a, float* out) {
  constexpr int kGroups = Columns / Group;
  for (int row = 0; row < Rows; row += kRowBlock) {
    const Block4<Columns, Group> block{packed + static_cast<std::size_t>(row / kRowBlock) *
                                                    Linear4BlockBytes(Columns, Group)};
    Floats sums = Fill(0);
    for (int g = 0; g < kGroups; ++g) {
      const Ints product = GroupProduct(block, g, a.values + g * Group, a.sums[g]);
      sums = MultiplyAdd(ToFloats(product), Multiply(block.Scales(g), Fill(a.scales[g])), sums);
    }
    StoreRows(out + row, sums, Rows - row);
  }
}

/// q - zero of a group as int16, column pair by column pair, 16 numbers a row block; pairs of one
/// row block are `kTileBlocks` * 16 apart.
template <int Columns, int Group>
void Unpack(const Block4<Columns, Group>& block, int g, std::int16_t* tile) {
  constexpr int kPitch = kTileBlocks * 2 * kRowBlock;
  const Pairs mask = FillPairs(0x000F);
  const Pairs zeros = Twice(block.Zeros(g));
  const std::byte* at = block.Group4(g);
  for (int c = 0; c < Group; c += 8) {
    const Pairs packed = LoadPairs(at + c * 4);
    std::int16_t* to = tile + c / 2 * kPitch;
    StorePairs(to, Subtract(And(packed, mask), zeros));
    StorePairs(to + kPitch, Subtract(And(ShiftRight<4>(packed), mask), zeros));
    StorePairs(to + 2 * kPitch, Subtract(And(ShiftRight<8>(packed), mask), zeros));
    StorePairs(to + 3 * kPitch, Subtract(ShiftRight<12>(packed), zeros));
  }
}

/// What a tile of tokens needs of a group.
struct TileInput {
  const std::int16_t* tile;
  const std::int16_t* values;  ///< of the first token
  std::size_t value_pitch;
  const float* scales;  ///< of the first token
  std::size_t scale_pitch;
  const Floats* weight_scales;  ///< a row block each
  Floats* sums;                 ///< [tokens, kTileBlocks]
};

/// Adds a group's products of `Tokens` tokens with `Blocks` row blocks.
template <int Group, int Blocks, int Tokens>
void MultiplyTile(const TileInput& in) {
  Ints products[Blocks][Tokens];
  for (int b = 0; b < Blocks; ++b) {
    for (int t = 0; t < Tokens; ++t) {
      products[b][t] = ZeroInts();
    }
  }
  for (int c = 0; c < Group; c += 2) {
    const std::int16_t* const weights = in.tile + c * kTileBlocks * kRowBlock;
    Pairs weight[Blocks];
    for (int b = 0; b < Blocks; ++b) {
      weight[b] = LoadPairs(weights + b * 2 * kRowBlock);
    }
    for (int t = 0; t < Tokens; ++t) {
      const Pairs value = FillPair(in.values + t * in.value_pitch + c);
      for (int b = 0; b < Blocks; ++b) {
        products[b][t] = Add(products[b][t], MultiplyPairs(weight[b], value));
      }
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    const Floats scale = Fill(in.scales[t * in.scale_pitch]);
    for (int b = 0; b < Blocks; ++b) {
      Floats& sum = in.sums[t * kTileBlocks + b];
      sum = MultiplyAdd(ToFloats(products[b][t]), Multiply(in.weight_scales[b], scale), sum);
    }
  }
}

/// Full tiles, then one of what is left.
template <int Group, int Blocks, int Tokens>
void MultiplyTokens(TileInput in, int tokens) {
  for (; tokens >= Tokens; tokens -= Tokens) {
    MultiplyTile<Group, Blocks, Tokens>(in);
    in.values += Tokens * in.value_pitch;
    in.scales += Tokens * in.scale_pitch;
    in.sums += Tokens * kTileBlocks;
  }
  if constexpr (Tokens > 1) {
    if (tokens > 0) {
      MultiplyTokens<Group, Blocks, Tokens - 1>(in, tokens);
    }
  }
}

/// `Blocks` row blocks from `row` on with up to kPassTokens tokens.
template <int Rows, int Columns, int Group, int Blocks>
void MultiplyBlocks(const std::byte* packed, int row, const Activations& a, int tokens,
                    float* out) {
  alignas(64) std::int16_t tile[kTileBlocks * kRowBlock * Group];
  Floats sums[kPassTokens * kTileBlocks];
  for (int i = 0; i < tokens * kTileBlocks; ++i) {
    sums[i] = Fill(0);
  }
  for (int g = 0; g < Columns / Group; ++g) {
    Floats scales[Blocks];
    for (int b = 0; b < Blocks; ++b) {
      const Block4<Columns, Group> block{packed + static_cast<std::size_t>(row / kRowBlock + b) *
                                                      Linear4BlockBytes(Columns, Group)};
      Unpack(block, g, tile + b * 2 * kRowBlock);
      scales[b] = block.Scales(g);
    }
    MultiplyTokens<Group, Blocks, kTileTokens>(
        {tile, a.values + g * Group, Columns, a.scales + g, Columns / Group, scales, sums}, tokens);
  }
  for (int t = 0; t < tokens; ++t) {
    for (int b = 0; b < Blocks; ++b) {
      const int first = row + b * kRowBlock;
      StoreRows(out + static_cast<std::size_t>(t) * Rows + first, sums[t * kTileBlocks + b],
                Rows - first);
    }
  }
}

template <int Rows, int Columns, int Group>
void MultiplyMatrix(const std::byte* packed, const Activations& a, int tokens, float* out) {
  constexpr int kTileRows = kTileBlocks * kRowBlock;
  constexpr int kFullRows = Rows / kTileRows * kTileRows;
  for (int row = 0; row < kFullRows; row += kTileRows) {
    MultiplyBlocks<Rows, Columns, Group, kTileBlocks>(packed, row, a, tokens, out);
  }
  for (int row = kFullRows; row < Rows; row += kRowBlock) {
    MultiplyBlocks<Rows, Columns, Group, 1>(packed, row, a, tokens, out);
  }
}

}  // namespace internal

/// out [tokens, Rows] = activations [tokens, Columns] times the packed weights' transpose.
template <int Rows, int Columns, int Group>
void Linear4(const std::byte* packed, const Activations& a, std::uint32_t tokens, float* out) {
  static_assert(Columns % Group == 0 && Group % 32 == 0);
  if (tokens == 1) {
    internal::MultiplyVector<Rows, Columns, Group>(packed, a, out);
    return;
  }
  constexpr std::size_t kGroups = Columns / Group;
  for (std::size_t done = 0; done < tokens; done += internal::kPassTokens) {
    const Activations part{a.values + done * Columns, a.scales + done * kGroups,
                           a.sums + done * kGroups};
    const std::size_t left = tokens - done;
    internal::MultiplyMatrix<Rows, Columns, Group>(
        packed, part, static_cast<int>(left < internal::kPassTokens ? left : internal::kPassTokens),
        out + done * Rows);
  }
}

}  // namespace tyllm::die
