// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products with 4-bit weights and int16 activations (W4A16), or int8 ones (W4A8). The packed layout
// is in
// docs/formats/packed-weights.md; worker/die/packing.h makes it. A group's sum is an exact integer,
// and groups are added in order, so that a token's result does not depend on how many tokens are
// computed together, nor on how rows are shared out.

#include "worker/die/activations.h"
#include "worker/die/row_lanes.h"
#include "worker/die/tile.h"

namespace tyllm::die {

/// Groups that stand together in a row block: their scales and zero points, then their nibbles, so
/// that a kernel reads on and never far ahead or back.
inline constexpr std::uint64_t kRunGroups = 8;

/// Bytes of what comes before the nibbles of a run: scales (16 binary16 a group), then zero points
/// (16 nibbles a group).
inline constexpr std::uint64_t Linear4HeadBytes(std::uint64_t groups) {
  return RoundUp(groups * 40, 64);
}

/// Where a run begins in a row block; for the number of its runs: where it ends.
inline constexpr std::uint64_t Linear4RunOffset(std::uint64_t columns, std::uint64_t group,
                                                std::uint64_t run) {
  const std::uint64_t groups = columns / group;
  const std::uint64_t full = groups / kRunGroups;
  return run <= full ? run * (Linear4HeadBytes(kRunGroups) + kRunGroups * group * 8)
                     : Linear4RunOffset(columns, group, full) +
                           Linear4HeadBytes(groups % kRunGroups) + groups % kRunGroups * group * 8;
}

/// Bytes of a row block.
inline constexpr std::uint64_t Linear4BlockBytes(std::uint64_t columns, std::uint64_t group) {
  return Linear4RunOffset(columns, group, RoundUp(columns / group, kRunGroups) / kRunGroups);
}

/// Bytes of a packed matrix [rows, columns].
inline constexpr std::uint64_t Linear4Bytes(std::uint64_t rows, std::uint64_t columns,
                                            std::uint64_t group) {
  return RoundUp(rows, kRowBlock) / kRowBlock * Linear4BlockBytes(columns, group);
}

namespace internal {

/// One row block as it lies in memory, for activations of `Bits`.
template <int Columns, int Group, int Bits = 16>
struct Block4 {
  const std::byte* memory;

  static constexpr int kValueBytes = Bits / 8;

  static constexpr std::size_t kBytes = Linear4BlockBytes(Columns, Group);

  const std::byte* Nibbles(int g) const {
    return Run(g) + Linear4HeadBytes(GroupsBeside(g)) + g % kRun * Group * 8;
  }

  RowFloats Scales(int g) const {
    return LoadRowHalves(reinterpret_cast<const std::uint16_t*>(Run(g) + g % kRun * 32));
  }

  RowInts Zeros(int g) const {
    return LoadRowNibbles(Run(g) + GroupsBeside(g) * 32 + g % kRun * 8);
  }

  /// Sum over a group of (q - zero) * value.
  RowInts Product(int g, const std::byte* values, std::int32_t sum) const {
    const RowInts products = Bits == 8
                                 ? ByteProduct(g, reinterpret_cast<const std::int8_t*>(values))
                                 : PairProduct(g, reinterpret_cast<const std::int16_t*>(values));
    return Subtract(products, Multiply(Zeros(g), sum));
  }

  /// For int16, q - zero, column pair by column pair, 32 numbers each; for bytes q, in the order of
  /// QuantizeToBytes, four columns by four, 64 numbers each.
  void Unpack(int g, std::byte* tile) const {
    if constexpr (Bits == 8) {
      UnpackBytes(g, tile);
    } else {
      UnpackPairs(g, reinterpret_cast<std::int16_t*>(tile));
    }
  }

 private:
  /// Odd nibbles are used where they stand, times 16.
  RowInts PairProduct(int g, const std::int16_t* values) const {
    static_assert(Group <= 512, "the sums of odd nibbles would overflow");
    const RowPairs low = FillRowPairs(0x000F);
    const RowPairs high = FillRowPairs(0x00F0);
    const std::byte* at = Nibbles(g);
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
    return Add(even, ShiftRight<4>(odd));
  }

#if TYLLM_DIE_VNNI
  RowInts ByteProduct(int g, const std::int8_t* values) const {
    const RowPairs low = FillRowPairs(0x0F0F);
    const std::byte* at = Nibbles(g);
    RowInts first = ZeroRowInts();
    RowInts second = ZeroRowInts();
    for (int c = 0; c < Group; c += 8) {
      Prefetch(at + c * 8);
      const RowPairs packed = LoadRowPairs(at + c * 8);
      first = AddByteProducts(And(packed, low), FillRowQuad(values + c), first);
      second =
          AddByteProducts(And(ShiftRight<4>(packed), low), FillRowQuad(values + c + 4), second);
    }
    return Add(first, second);
  }
#else
  RowInts ByteProduct(int g, const std::int8_t* values) const {
    const RowPairs low = FillRowPairs(0x0F0F);
    const RowPairs ones = FillRowPairs(1);
    const std::byte* at = Nibbles(g);
    RowInts products = ZeroRowInts();
    for (int begin = 0; begin < Group; begin += kByteColumns) {
      RowPairs sums = FillRowPairs(0);
      for (int c = begin; c < begin + kByteColumns; c += 8) {
        Prefetch(at + c * 8);
        const RowPairs packed = LoadRowPairs(at + c * 8);
        sums = Add(sums, MultiplyBytes(And(packed, low), FillRowQuad(values + c)));
        sums =
            Add(sums, MultiplyBytes(And(ShiftRight<4>(packed), low), FillRowQuad(values + c + 4)));
      }
      products = AddProducts(sums, ones, products);
    }
    return products;
  }
#endif

  void UnpackBytes(int g, std::byte* tile) const {
    const RowPairs low = FillRowPairs(0x0F0F);
    const std::byte* at = Nibbles(g);
    for (int c = 0; c < Group; c += 8) {
      Prefetch(at + c * 8);
      const RowPairs packed = LoadRowPairs(at + c * 8);
      StoreRowPairs(tile + c * kRowBlock, And(packed, low));
      StoreRowPairs(tile + (c + 4) * kRowBlock, And(ShiftRight<4>(packed), low));
    }
  }

  void UnpackPairs(int g, std::int16_t* tile) const {
    constexpr int kPitch = 2 * kRowBlock;
    const RowPairs mask = FillRowPairs(0x000F);
    const RowPairs zeros = Twice(Zeros(g));
    const std::byte* at = Nibbles(g);
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

  static constexpr int kRun = kRunGroups;

  /// Groups in the run of group `g`.
  static constexpr int GroupsBeside(int g) {
    constexpr int kGroups = Columns / Group;
    return g < kGroups / kRun * kRun ? kRun : kGroups % kRun;
  }

  const std::byte* Run(int g) const {
    constexpr std::size_t kRunBytes = Linear4RunOffset(kRun * Group, Group, 1);
    return memory + static_cast<std::size_t>(g / kRun) * kRunBytes;
  }
};

}  // namespace internal

/// Row blocks `blocks` of out [tokens, Rows] = activations [tokens, Columns] times the packed
/// weights' transpose. With `Bits` 8 QuantizeToBytes made the activations.
template <int Rows, int Columns, int Group, int Bits = 16>
void Linear4(const std::byte* packed, const Activations& a, std::uint32_t tokens, float* out,
             Slice blocks = BlocksOf(Rows)) {
  static_assert(Columns % Group == 0 && Group % 32 == 0);
  internal::MultiplyMatrix<internal::Block4<Columns, Group, Bits>, Rows, Columns, Group>(
      packed, a, tokens, out, blocks);
}

}  // namespace tyllm::die
