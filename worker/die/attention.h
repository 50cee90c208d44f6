// SPDX-License-Identifier: Apache-2.0
#pragma once

// The KV cache of a layer, in binary16: keys [kv_heads, capacity / 8, head_size, 8] (8 positions
// interleaved, so that a score is a lane), then values [kv_heads, capacity, head_size]; capacity is
// max_kv rounded up to 8. The cache starts as zeros.

#include "worker/die/lanes.h"
#include "worker/die/part.h"
#include "worker/die/row_lanes.h"

namespace tyllm::die {

inline constexpr std::uint64_t KvCapacity(std::uint64_t max_kv) {
  return RoundUp(max_kv, kLanes);
}

/// Bytes of one layer's keys, and as many for its values.
inline constexpr std::uint64_t KvHalfBytes(std::uint64_t kv_heads, std::uint64_t head_size,
                                           std::uint64_t max_kv) {
  return RoundUp(kv_heads * KvCapacity(max_kv) * head_size * 2, 64);
}

/// Bytes of one layer's cache.
inline constexpr std::uint64_t KvLayerBytes(std::uint64_t kv_heads, std::uint64_t head_size,
                                            std::uint64_t max_kv) {
  return 2 * KvHalfBytes(kv_heads, head_size, max_kv);
}

/// Queries that share what is read of the cache.
inline constexpr int kQueryTile = 4;

/// Floats that one part of Attention needs for scores.
inline constexpr std::uint64_t AttentionScratchFloats(std::uint64_t max_kv) {
  return kQueryTile * KvCapacity(max_kv);
}

/// Where one layer's cache of KvLayerBytes lies.
template <int KvHeads, int HeadSize, int MaxKv>
struct KvCache {
  std::byte* memory;

  static constexpr std::size_t kHeadHalves = KvCapacity(MaxKv) * HeadSize;

  std::uint16_t* Keys(int head) const {
    return reinterpret_cast<std::uint16_t*>(memory) + static_cast<std::size_t>(head) * kHeadHalves;
  }

  std::uint16_t* Values(int head) const {
    return reinterpret_cast<std::uint16_t*>(memory + KvHalfBytes(KvHeads, HeadSize, MaxKv)) +
           static_cast<std::size_t>(head) * kHeadHalves;
  }
};

/// Asks for where the key of position `history` of heads `heads` goes: its numbers are far from
/// each other.
template <int KvHeads, int HeadSize, int MaxKv>
void FetchNewKeys(std::uint32_t history, const KvCache<KvHeads, HeadSize, MaxKv>& cache,
                  Slice heads) {
  for (auto h = static_cast<int>(heads.begin); h < static_cast<int>(heads.end); ++h) {
    const std::uint16_t* const block = cache.Keys(h) + history / kLanes * HeadSize * kLanes;
    FetchLines(block, HeadSize * kLanes * sizeof(*block));
  }
}

/// Appends `tokens` rows of keys and values (`stride` floats apart) of heads `heads` at position
/// `history`.
template <int KvHeads, int HeadSize, int MaxKv>
void WriteKv(const float* keys, const float* values, std::size_t stride, std::uint32_t history,
             std::uint32_t tokens, const KvCache<KvHeads, HeadSize, MaxKv>& cache,
             Slice heads = KvHeads) {
  FetchNewKeys(history, cache, heads);
  for (auto h = static_cast<int>(heads.begin); h < static_cast<int>(heads.end); ++h) {
    for (std::uint32_t t = 0; t < tokens; ++t) {
      const std::size_t position = history + t;
      const std::size_t from = t * stride + static_cast<std::size_t>(h) * HeadSize;
      std::uint16_t* const key =
          cache.Keys(h) + position / kLanes * HeadSize * kLanes + position % kLanes;
      std::uint16_t* const value = cache.Values(h) + position * HeadSize;
      for (int i = 0; i < HeadSize; i += kLanes) {
        std::uint16_t halves[kLanes];
        StoreHalves(halves, Load(keys + from + i));
        for (int j = 0; j < kLanes; ++j) {
          key[(i + j) * kLanes] = halves[j];
        }
        StoreHalves(value + i, Load(values + from + i));
      }
    }
  }
}

namespace internal {

/// A query of a tile: one head of one token.
struct Query {
  const float* x;
  std::size_t length;  ///< keys that it sees
  float* scores;       ///< then weights, then nothing
  float* out;
};

/// Scores, not yet scaled, of `Blocks` times 8 keys from position `first` on. What is summed in
/// which order is the same for all Count and Blocks.
template <int HeadSize, int Count, int Blocks>
void ScoreBlocks(const Query* queries, const std::uint16_t* keys, std::size_t first) {
  static_assert(HeadSize % 2 == 0);
  const std::uint16_t* const block = keys + first * HeadSize;
  Floats sums[Count][Blocks][2];
  for (int i = 0; i < Count * Blocks * 2; ++i) {
    sums[i / (Blocks * 2)][i / 2 % Blocks][i % 2] = Fill(0);
  }
  for (int i = 0; i < HeadSize; i += 2) {
    for (int half = 0; half < 2; ++half) {
      Floats key[Blocks];
      for (int b = 0; b < Blocks; ++b) {
        key[b] = LoadHalves(block + (b * HeadSize + i + half) * kLanes);
      }
      for (int q = 0; q < Count; ++q) {
        const Floats x = Fill(queries[q].x[i + half]);
        for (int b = 0; b < Blocks; ++b) {
          sums[q][b][half] = MultiplyAdd(key[b], x, sums[q][b][half]);
        }
      }
    }
  }
  for (int q = 0; q < Count; ++q) {
    for (int b = 0; b < Blocks; ++b) {
      Store(queries[q].scores + first + static_cast<std::size_t>(b) * kLanes,
            Add(sums[q][b][0], sums[q][b][1]));
    }
  }
}

#if TYLLM_DIE_AVX512
/// The same of 16 keys, each pair of blocks in one register: what a lane sums in which order is
/// what it sums there.
template <int HeadSize, int Count>
void ScoreBlockPair(const Query* queries, const std::uint16_t* keys, std::size_t first) {
  const std::uint16_t* const low = keys + first * HeadSize;
  const std::uint16_t* const high = low + HeadSize * kLanes;
  RowFloats sums[Count][2];
  for (int i = 0; i < Count * 2; ++i) {
    sums[i / 2][i % 2] = FillRows(0);
  }
  for (int i = 0; i < HeadSize; i += 2) {
    for (int half = 0; half < 2; ++half) {
      const RowFloats key = LoadRowHalves(low + (i + half) * kLanes, high + (i + half) * kLanes);
      for (int q = 0; q < Count; ++q) {
        sums[q][half] = MultiplyAdd(key, FillRows(queries[q].x[i + half]), sums[q][half]);
      }
    }
  }
  for (int q = 0; q < Count; ++q) {
    StoreRows(queries[q].scores + first, Add(sums[q][0], sums[q][1]));
  }
}
#endif

/// Turns the first query.length scores into weights that are not yet divided by their sum, which is
/// returned; the rest up to `end` become zeros.
template <int HeadSize>
float Weigh(const Query& query, std::size_t end) {
  float* const scores = query.scores;
  const std::size_t length = query.length;
  const std::size_t padded = RoundUp(length, kLanes);
  for (std::size_t i = length; i < padded; ++i) {
    scores[i] = -INFINITY;
  }
  Floats largest = Fill(-INFINITY);
  for (std::size_t i = 0; i < padded; i += kLanes) {
    largest = Maximum(largest, Load(scores + i));
  }
  const Floats top = Fill(Largest(largest));
  const Floats scale = Fill(1.0F / std::sqrt(static_cast<float>(HeadSize)));
  Floats sum = Fill(0);
  for (std::size_t i = 0; i < padded; i += kLanes) {
    Store(scores + i, Exp(Multiply(Subtract(Load(scores + i), top), scale)));
    for (std::size_t j = length; j < i + kLanes; ++j) {
      scores[j] = 0;
    }
    sum = Add(sum, Load(scores + i));
  }
  for (std::size_t i = padded; i < end; ++i) {
    scores[i] = 0;
  }
  return Sum(sum);
}

/// Adds weight * value row of positions [begin, end) to `Part` columns of each query's output.
/// Value rows are HeadSize apart.
template <int HeadSize, int Part, int Count>
void MixPart(const Query* queries, const std::uint16_t* values, std::size_t begin, std::size_t end,
             int column) {
  RowFloats sums[Count][Part / kRowBlock];
  for (int q = 0; q < Count; ++q) {
    for (int i = 0; i < Part / kRowBlock; ++i) {
      sums[q][i] = LoadRows(queries[q].out + column + i * kRowBlock);
    }
  }
  for (std::size_t p = begin; p < end; ++p) {
    RowFloats value[Part / kRowBlock];
    for (int i = 0; i < Part / kRowBlock; ++i) {
      value[i] = LoadRowHalves(values + p * HeadSize + column + i * kRowBlock);
    }
    for (int q = 0; q < Count; ++q) {
      const RowFloats weight = FillRows(queries[q].scores[p]);
      for (int i = 0; i < Part / kRowBlock; ++i) {
        sums[q][i] = MultiplyAdd(value[i], weight, sums[q][i]);
      }
    }
  }
  for (int q = 0; q < Count; ++q) {
    for (int i = 0; i < Part / kRowBlock; ++i) {
      StoreRows(queries[q].out + column + i * kRowBlock, sums[q][i]);
    }
  }
}

/// Largest number of columns that divides a head and keeps the sums of `Count` queries in
/// registers.
template <int HeadSize, int Count>
constexpr int PartOf() {
  int part = (TYLLM_DIE_AVX512 ? 128 : 64) / Count;
  while (HeadSize % part != 0) {
    part -= kRowBlock;
  }
  return part;
}

/// out = sum of weight * value row / sum of weights, 64 positions at a time: these stay in the
/// first-level cache while the parts of a head pass by.
template <int HeadSize, int Count>
void Mix(const Query* queries, const std::uint16_t* values, std::size_t length, const float* sums) {
  static_assert(HeadSize % kRowBlock == 0);
  constexpr std::size_t kPositions = 64;
  constexpr int kPart = PartOf<HeadSize, Count>();
  for (int q = 0; q < Count; ++q) {
    std::memset(queries[q].out, 0, sizeof(float) * HeadSize);
  }
  for (std::size_t begin = 0; begin < length; begin += kPositions) {
    const std::size_t end = length < begin + kPositions ? length : begin + kPositions;
    for (int column = 0; column < HeadSize; column += kPart) {
      MixPart<HeadSize, kPart, Count>(queries, values, begin, end, column);
    }
  }
  for (int q = 0; q < Count; ++q) {
    const Floats inverse = Fill(1.0F / sums[q]);
    for (int i = 0; i < HeadSize; i += kLanes) {
      Store(queries[q].out + i, Multiply(Load(queries[q].out + i), inverse));
    }
  }
}

/// `Count` queries of one KV head. Longer ones come later. `cold`: this head's keys and values have
/// not been read since they left the caches.
template <int HeadSize, int Count>
void AttendTile(const Query* queries, const std::uint16_t* keys, const std::uint16_t* values,
                bool cold) {
  constexpr int kBlocks = kQueryTile / Count;
  constexpr std::size_t kStep = kBlocks * kLanes;
  const std::size_t length = queries[Count - 1].length;
  const std::size_t padded = RoundUp(length, kLanes);
  std::size_t first = 0;
#if TYLLM_DIE_AVX512
  if constexpr (Count == kQueryTile) {
    constexpr std::size_t kPair = 2 * kLanes;
    for (; first + kPair <= padded; first += kPair) {
      if (cold) {
        FetchLines(keys + (first + kPair) * HeadSize, kPair * HeadSize * sizeof(*keys));
        FetchLines(values + first * HeadSize, kPair * HeadSize * sizeof(*values));
      }
      ScoreBlockPair<HeadSize, Count>(queries, keys, first);
    }
  }
#endif
  for (; first + kStep <= padded; first += kStep) {
    if (cold) {
      FetchLines(keys + (first + kStep) * HeadSize, kStep * HeadSize * sizeof(*keys));
      FetchLines(values + first * HeadSize, kStep * HeadSize * sizeof(*values));
    }
    ScoreBlocks<HeadSize, Count, kBlocks>(queries, keys, first);
  }
  for (; first < padded; first += kLanes) {
    ScoreBlocks<HeadSize, Count, 1>(queries, keys, first);
  }
  float sums[Count];
  for (int q = 0; q < Count; ++q) {
    sums[q] = Weigh<HeadSize>(queries[q], padded);
  }
  Mix<HeadSize, Count>(queries, values, length, sums);
}

template <int HeadSize>
void Attend(const Query* queries, int count, const std::uint16_t* keys, const std::uint16_t* values,
            bool cold = false) {
  if (count == kQueryTile) {
    return AttendTile<HeadSize, kQueryTile>(queries, keys, values, cold);
  }
  for (; count >= 2; count -= 2, queries += 2) {
    AttendTile<HeadSize, 2>(queries, keys, values, cold);
    cold = false;
  }
  if (count == 1) {
    AttendTile<HeadSize, 1>(queries, keys, values, cold);
  }
}

/// One past the last query head that reads the same KV head as `first`.
inline int EndOfGroup(const std::int32_t* kv_of, int heads, int first) {
  int end = first + 1;
  while (end < heads && kv_of[end] == kv_of[first]) {
    ++end;
  }
  return end;
}

/// Tiles of all KV heads: the queries of one, in order of tokens, then heads, are cut in tiles.
inline std::uint32_t TilesOf(const std::int32_t* kv_of, int heads, std::uint32_t tokens) {
  std::uint32_t tiles = 0;
  for (int first = 0; first < heads;) {
    const int end = EndOfGroup(kv_of, heads, first);
    tiles += (tokens * static_cast<std::uint32_t>(end - first) + kQueryTile - 1) / kQueryTile;
    first = end;
  }
  return tiles;
}

}  // namespace internal

/// Causal attention of `tokens` queries (rows `stride` floats apart) over the cache, into which
/// WriteKv has put their own keys and values. Query head h reads KV head kv_of[h]; heads of one KV
/// head follow each other. out [tokens, Heads * HeadSize]. `scratch`: AttentionScratchFloats for
/// each part. A token's result does not depend on how many tokens are computed together, or in how
/// many parts.
template <int Heads, int KvHeads, int HeadSize, int MaxKv>
void Attention(const float* queries, std::size_t stride,
               const KvCache<KvHeads, HeadSize, MaxKv>& cache, const std::int32_t* kv_of,
               std::uint32_t history, std::uint32_t tokens, float* scratch, float* out,
               Part part = {}) {
  float* const scores = scratch + part.index * AttentionScratchFloats(MaxKv);
  const Slice tiles = part.Of(internal::TilesOf(kv_of, Heads, tokens));
  std::uint32_t tile = 0;
  for (int first = 0; first < Heads;) {
    const int end = internal::EndOfGroup(kv_of, Heads, first);
    const auto group = static_cast<std::uint32_t>(end - first);
    for (std::uint32_t query = 0; query < tokens * group; query += kQueryTile, ++tile) {
      if (tile < tiles.begin || tile >= tiles.end) {
        continue;
      }
      internal::Query of_tile[kQueryTile];
      const std::uint32_t left = tokens * group - query;
      const std::uint32_t count = left < kQueryTile ? left : kQueryTile;
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::size_t t = (query + i) / group;
        const std::size_t at = (static_cast<std::size_t>(first) + (query + i) % group) * HeadSize;
        of_tile[i] = {queries + t * stride + at, history + t + 1, scores + i * KvCapacity(MaxKv),
                      out + t * Heads * HeadSize + at};
      }
      internal::Attend<HeadSize>(of_tile, static_cast<int>(count), cache.Keys(kv_of[first]),
                                 cache.Values(kv_of[first]), query == 0 || tile == tiles.begin);
    }
    first = end;
  }
}

/// Asks for the first keys that `part` of Attention reads.
template <int Heads, int KvHeads, int HeadSize, int MaxKv>
void FetchCache(const KvCache<KvHeads, HeadSize, MaxKv>& cache, const std::int32_t* kv_of,
                std::uint32_t history, std::uint32_t tokens, Part part) {
  constexpr std::size_t kMost = 16384;
  const Slice tiles = part.Of(internal::TilesOf(kv_of, Heads, tokens));
  std::uint32_t tile = 0;
  for (int first = 0; first < Heads; first = internal::EndOfGroup(kv_of, Heads, first)) {
    const int end = internal::EndOfGroup(kv_of, Heads, first);
    tile += (tokens * static_cast<std::uint32_t>(end - first) + kQueryTile - 1) / kQueryTile;
    if (tile > tiles.begin) {
      const std::size_t bytes = std::size_t{history} * HeadSize * sizeof(std::uint16_t);
      return FetchLines(cache.Keys(kv_of[first]), bytes < kMost ? bytes : kMost);
    }
  }
}

}  // namespace tyllm::die
