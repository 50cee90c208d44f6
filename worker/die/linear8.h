// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products with 8-bit weights (symmetric, a binary16 scale a group and row) and int16 activations:
// the head of `--head int8`. The packed layout is in docs/formats/packed-weights.md. As in
// linear4.h a token's result does not depend on its neighbours.

#include "worker/die/tile.h"

namespace tyllm::die {

/// Bytes of a row block: int8 weights, then 16 binary16 scales a group.
inline constexpr std::uint64_t Linear8BlockBytes(std::uint64_t columns, std::uint64_t group) {
  return RoundUp(columns * 16 + columns / group * 32, 64);
}

/// Bytes of a packed matrix [rows, columns].
inline constexpr std::uint64_t Linear8Bytes(std::uint64_t rows, std::uint64_t columns,
                                            std::uint64_t group) {
  return RoundUp(rows, kRowBlock) / kRowBlock * Linear8BlockBytes(columns, group);
}

/// The largest group that a matrix of so many columns is packed with; 0 when there is none.
inline constexpr std::int64_t Linear8Group(std::int64_t columns) {
  for (std::int64_t group = 128; group >= 32; group /= 2) {
    if (columns % group == 0) {
      return group;
    }
  }
  return 0;
}

namespace internal {

/// One row block as it lies in memory.
template <int Columns, int Group>
struct Block8 {
  const std::byte* weights;

  static constexpr int kValueBytes = 2;
  static constexpr std::size_t kBytes = Linear8BlockBytes(Columns, Group);

  const std::byte* Group8(int g) const {
    return weights + static_cast<std::size_t>(g) * Group * kRowBlock;
  }

  RowFloats Scales(int g) const {
    return LoadRowHalves(reinterpret_cast<const std::uint16_t*>(
        weights + Columns * kRowBlock + static_cast<std::size_t>(g) * 2 * kRowBlock));
  }

  /// Sum over a group of weight * value.
  RowInts Product(int g, const std::byte* bytes, std::int32_t /*sum*/) const {
    const auto* const values = reinterpret_cast<const std::int16_t*>(bytes);
    static_assert(Group <= 256, "the sums would overflow");
    const std::byte* at = Group8(g);
    RowInts first = ZeroRowInts();
    RowInts second = ZeroRowInts();
    for (int c = 0; c < Group; c += 4) {
      Prefetch(at + c * kRowBlock);
      first = AddProducts(WidenRowPairs(at + c * kRowBlock), FillRowPair(values + c), first);
      second =
          AddProducts(WidenRowPairs(at + (c + 2) * kRowBlock), FillRowPair(values + c + 2), second);
    }
    return Add(first, second);
  }

  void Unpack(int g, std::byte* bytes) const {
    auto* const tile = reinterpret_cast<std::int16_t*>(bytes);
    const std::byte* at = Group8(g);
    for (int c = 0; c < Group; c += 2) {
      StoreRowPairs(tile + c * kRowBlock, WidenRowPairs(at + c * kRowBlock));
    }
  }
};

}  // namespace internal

/// Row blocks `blocks` of out [tokens, Rows] = activations [tokens, Columns] times the packed
/// weights' transpose.
template <int Rows, int Columns, int Group>
void Linear8(const std::byte* packed, const Activations& a, std::uint32_t tokens, float* out,
             Slice blocks = BlocksOf(Rows)) {
  static_assert(Columns % Group == 0 && Group % 32 == 0);
  internal::MultiplyMatrix<internal::Block8<Columns, Group>, Rows, Columns, Group>(
      packed, a, tokens, out, blocks);
}

}  // namespace tyllm::die
