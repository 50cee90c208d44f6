// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products with 4-bit weights and int16 activations (W4A16). The packed layout is in
// docs/formats/packed-weights.md; worker/die/packing.h makes it. A group's sum is an exact integer,
// and groups are added in order, so that a token's result does not depend on how many tokens are
// computed together, nor on how rows are shared out.

#include "worker/die/activations.h"
#include "worker/die/row_lanes.h"
#include "worker/die/tile.h"

namespace tyllm::die {

/// Bytes of a row block: nibbles, scales (16 binary16 a group), zero points (16 nibbles a group).
inline constexpr std::uint64_t Linear4BlockBytes(std::uint64_t columns, std::uint64_t group) {
  return RoundUp(columns * 8 + columns / group * 40, 64);
}

/// Bytes of a packed matrix [rows, columns].
inline constexpr std::uint64_t Linear4Bytes(std::uint64_t rows, std::uint64_t columns,
                                            std::uint64_t group) {
  return RoundUp(rows, kRowBlock) / kRowBlock * Linear4BlockBytes(columns, group);
}

namespace internal {

/// One row block as it lies in memory.
template <int Columns, int Group>
struct Block4 {
  const std::byte* nibbles;

  static constexpr std::size_t kBytes = Linear4BlockBytes(Columns, Group);

  const std::byte* Group4(int g) const { return nibbles + static_cast<std::size_t>(g) * Group * 8; }

  RowFloats Scales(int g) const {
    return LoadRowHalves(reinterpret_cast<const std::uint16_t*>(nibbles + Columns * 8 +
                                                                static_cast<std::size_t>(g) * 32));
  }

  RowInts Zeros(int g) const {
    return LoadRowNibbles(nibbles + Columns * 8 + Columns / Group * 32 +
                          static_cast<std::size_t>(g) * 8);
  }

  /// Sum over a group of (q - zero) * value. Odd nibbles are used where they stand, times 16.
  RowInts Product(int g, const std::int16_t* values, std::int32_t sum) const {
    static_assert(Group <= 512, "the sums of odd nibbles would overflow");
    const RowPairs low = FillRowPairs(0x000F);
    const RowPairs high = FillRowPairs(0x00F0);
    const std::byte* at = Group4(g);
    RowInts even = ZeroRowInts();
    RowInts odd = ZeroRowInts();
    for (int c = 0; c < Group; c += 8) {
      Prefetch(at + c * 8);
      const RowPairs first = LoadRowPairs(at + c * 8);
      const RowPairs second = ShiftRight<8>(first);
      even = AddProducts(And(first, low), FillRowPair(values + c), even);
      odd = AddProducts(And(first, high), FillRowPair(values + c + 2), odd);
      even = AddProducts(And(second, low), FillRowPair(values + c + 4), even);
      odd = AddProducts(And(second, high), FillRowPair(values + c + 6), odd);
    }
    return Subtract(Add(even, ShiftRight<4>(odd)), Multiply(Zeros(g), sum));
  }

  /// q - zero of a group as int16, column pair by column pair, 32 numbers each.
  void Unpack(int g, std::int16_t* tile) const {
    constexpr int kPitch = 2 * kRowBlock;
    const RowPairs mask = FillRowPairs(0x000F);
    const RowPairs zeros = Twice(Zeros(g));
    const std::byte* at = Group4(g);
    for (int c = 0; c < Group; c += 8) {
      Prefetch(at + c * 8);
      const RowPairs packed = LoadRowPairs(at + c * 8);
      std::int16_t* to = tile + c / 2 * kPitch;
      StoreRowPairs(to, Subtract(And(packed, mask), zeros));
      StoreRowPairs(to + kPitch, Subtract(And(ShiftRight<4>(packed), mask), zeros));
      StoreRowPairs(to + 2 * kPitch, Subtract(And(ShiftRight<8>(packed), mask), zeros));
      StoreRowPairs(to + 3 * kPitch, Subtract(ShiftRight<12>(packed), zeros));
    }
  }
};

}  // namespace internal

/// Row blocks `blocks` of out [tokens, Rows] = activations [tokens, Columns] times the packed
/// weights' transpose.
template <int Rows, int Columns, int Group>
void Linear4(const std::byte* packed, const Activations& a, std::uint32_t tokens, float* out,
             Slice blocks = BlocksOf(Rows)) {
  static_assert(Columns % Group == 0 && Group % 32 == 0);
  internal::MultiplyMatrix<internal::Block4<Columns, Group>, Rows, Columns, Group>(
      packed, a, tokens, out, blocks);
}

}  // namespace tyllm::die
