// SPDX-License-Identifier: Apache-2.0
#pragma once

// What programs of visual towers need besides the kernels of language models. Rows are patches, or
// merged ones. Numbers of a row stand together.

#include "worker/die/attention.h"
#include "worker/die/elementwise.h"

namespace tyllm::die {

/// Rows of out [rows, Width] = (x - mean) / sqrt(variance + epsilon) * weight + bias.
template <int Width>
void LayerNorm(const float* x, const float* weight, const float* bias, float epsilon, Slice rows,
               float* out) {
  static_assert(Width % kLanes == 0);
  for (std::size_t r = rows.begin; r < rows.end; ++r) {
    const float* const from = x + r * Width;
    Floats sum = Fill(0);
    for (int i = 0; i < Width; i += kLanes) {
      sum = Add(sum, Load(from + i));
    }
    const Floats mean = Fill(Sum(sum) / static_cast<float>(Width));
    Floats squares = Fill(0);
    for (int i = 0; i < Width; i += kLanes) {
      const Floats distance = Subtract(Load(from + i), mean);
      squares = MultiplyAdd(distance, distance, squares);
    }
    const Floats scale = Fill(1.0F / std::sqrt(Sum(squares) / static_cast<float>(Width) + epsilon));
    for (int i = 0; i < Width; i += kLanes) {
      const Floats normed = Multiply(Subtract(Load(from + i), mean), scale);
      Store(out + r * Width + i, MultiplyAdd(normed, Load(weight + i), Load(bias + i)));
    }
  }
}

/// x * sigmoid(1.702 x)
inline Floats QuickGeluOf(Floats x) {
  return Divide(x, Add(Fill(1), Exp(Multiply(x, Fill(-1.702F)))));
}

/// x * normal distribution(x), approximated by tanh: x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)).
inline Floats GeluTanhOf(Floats x) {
  const Floats cube = Multiply(Multiply(x, x), x);
  const Floats inner = MultiplyAdd(cube, Fill(0.044715F), x);
  return Divide(x, Add(Fill(1), Exp(Multiply(inner, Fill(-1.5957691216F)))));
}

/// x * normal distribution(x). erf by formula 7.1.26 of Abramowitz and Stegun, absolute error below
/// 1.5e-7.
inline Floats GeluOf(Floats x) {
  const Floats z = Multiply(Magnitude(x), Fill(0.70710678F));
  const Floats t = Divide(Fill(1), MultiplyAdd(z, Fill(0.3275911F), Fill(1)));
  Floats p = Fill(1.061405429F);
  p = MultiplyAdd(p, t, Fill(-1.453152027F));
  p = MultiplyAdd(p, t, Fill(1.421413741F));
  p = MultiplyAdd(p, t, Fill(-0.284496736F));
  p = MultiplyAdd(p, t, Fill(0.254829592F));
  const Floats tail = Multiply(Multiply(p, t), Exp(Multiply(Multiply(z, z), Fill(-1))));
  // x/2 (1 + erf) for x >= 0 is x - x/2 tail, for x < 0 it is x/2 tail: max(x, 0) - |x|/2 tail.
  return Subtract(Maximum(x, Fill(0)), Multiply(Multiply(Magnitude(x), Fill(0.5F)), tail));
}

/// Rows of x [rows, Width] = Function of each number.
template <int Width, Floats (*Function)(Floats)>
void ApplyTo(Slice rows, float* x) {
  static_assert(Width % kLanes == 0);
  const std::size_t end = std::size_t{rows.end} * Width;
  for (std::size_t i = std::size_t{rows.begin} * Width; i < end; i += kLanes) {
    Store(x + i, Function(Load(x + i)));
  }
}

/// Rows of out [rows, Width] += those of a binary16 table.
template <int Width>
void AddHalfRows(const std::uint16_t* table, Slice rows, float* out) {
  static_assert(Width % kLanes == 0);
  const std::size_t end = std::size_t{rows.end} * Width;
  for (std::size_t i = std::size_t{rows.begin} * Width; i < end; i += kLanes) {
    Store(out + i, Add(Load(out + i), LoadHalves(table + i)));
  }
}

/// Row r of out [rows, Width] = row order[r] of x.
template <int Width>
void GatherRows(const float* x, const std::int32_t* order, Slice rows, float* out) {
  for (std::size_t r = rows.begin; r < rows.end; ++r) {
    std::memcpy(out + r * Width, x + static_cast<std::size_t>(order[r]) * Width,
                sizeof(float) * Width);
  }
}

/// Copies heads `heads` of keys and values [patches, Heads * HeadSize] into a cache in which each
/// run of patches that see each other starts at a multiple of 8. `ends`: where the runs end; the
/// last is `patches`. Capacity: positions of all runs, each rounded up to 8.
template <int Heads, int HeadSize, int Capacity>
void PackRuns(const float* keys, const float* values, const std::int32_t* ends,
              std::uint32_t patches, const KvCache<Heads, HeadSize, Capacity>& cache, Slice heads) {
  constexpr std::size_t kStride = std::size_t{Heads} * HeadSize;
  std::uint32_t position = 0;
  for (std::uint32_t begin = 0; begin < patches; ++ends) {
    const auto end = static_cast<std::uint32_t>(*ends);
    WriteKv(keys + begin * kStride, values + begin * kStride, kStride, position, end - begin, cache,
            heads);
    position += static_cast<std::uint32_t>(RoundUp(end - begin, kLanes));
    begin = end;
  }
}

/// Every patch over all patches of its run: out [patches, Heads * HeadSize]. `scratch`:
/// AttentionScratchFloats(Longest) for each part, Longest being the longest run.
template <int Heads, int HeadSize, int Capacity, int Longest>
void AttendRuns(const float* queries, const KvCache<Heads, HeadSize, Capacity>& cache,
                const std::int32_t* ends, std::uint32_t patches, float* scratch, float* out,
                Part part = {}) {
  constexpr std::size_t kStride = std::size_t{Heads} * HeadSize;
  float* const scores = scratch + part.index * AttentionScratchFloats(Longest);
  std::uint32_t of_head = 0;
  for (std::uint32_t begin = 0, run = 0; begin < patches; ++run) {
    const auto end = static_cast<std::uint32_t>(ends[run]);
    of_head += (end - begin + kQueryTile - 1) / kQueryTile;
    begin = end;
  }
  const Slice tiles = part.Of(of_head * Heads);
  std::uint32_t tile = 0;
  for (int head = 0; head < Heads; ++head) {
    std::size_t position = 0;
    for (std::uint32_t begin = 0, run = 0; begin < patches; ++run) {
      const auto end = static_cast<std::uint32_t>(ends[run]);
      for (std::uint32_t first = begin; first < end; first += kQueryTile, ++tile) {
        if (tile < tiles.begin || tile >= tiles.end) {
          continue;
        }
        internal::Query of_tile[kQueryTile];
        const std::uint32_t count = end - first < kQueryTile ? end - first : kQueryTile;
        for (std::uint32_t i = 0; i < count; ++i) {
          const std::size_t at = (first + i) * kStride + static_cast<std::size_t>(head) * HeadSize;
          of_tile[i] = {queries + at, end - begin, scores + i * KvCapacity(Longest), out + at};
        }
        internal::Attend<HeadSize>(of_tile, static_cast<int>(count),
                                   cache.Keys(head) + position * HeadSize,
                                   cache.Values(head) + position * HeadSize);
      }
      position += RoundUp(end - begin, kLanes);
      begin = end;
    }
  }
}

}  // namespace tyllm::die
