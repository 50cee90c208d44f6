// SPDX-License-Identifier: Apache-2.0
#pragma once

// The KV cache of a layer, in binary16: keys [kv_heads, capacity / 8, head_size, 8] (8 positions
// interleaved, so that a score is a lane), then values [kv_heads, capacity, head_size]; capacity is
// max_kv rounded up to 8. The cache starts as zeros.

#include "worker/die/lanes.h"

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

/// Arena floats that Attention needs for scores.
inline constexpr std::uint64_t AttentionScratchFloats(std::uint64_t max_kv) {
  return KvCapacity(max_kv);
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

/// Appends `tokens` rows of keys and values (`stride` floats apart) at position `history`.
template <int KvHeads, int HeadSize, int MaxKv>
void WriteKv(const float* keys, const float* values, std::size_t stride, std::uint32_t history,
             std::uint32_t tokens, const KvCache<KvHeads, HeadSize, MaxKv>& cache) {
  for (int h = 0; h < KvHeads; ++h) {
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

/// Scaled scores of `length` keys, rounded up to 8 with -inf; returns the largest.
template <int HeadSize>
float Scores(const float* query, const std::uint16_t* keys, std::size_t length, float* scores) {
  const Floats scale = Fill(1.0F / std::sqrt(static_cast<float>(HeadSize)));
  Floats largest = Fill(-INFINITY);
  for (std::size_t first = 0; first < length; first += kLanes) {
    const std::uint16_t* const block = keys + first * HeadSize;
    Floats sums[4] = {Fill(0), Fill(0), Fill(0), Fill(0)};
    for (int i = 0; i < HeadSize; ++i) {
      sums[i % 4] = MultiplyAdd(LoadHalves(block + i * kLanes), Fill(query[i]), sums[i % 4]);
    }
    const Floats sum = Add(Add(sums[0], sums[1]), Add(sums[2], sums[3]));
    Store(scores + first, Multiply(sum, scale));
    for (std::size_t i = length; i < first + kLanes; ++i) {
      scores[i] = -INFINITY;
    }
    largest = Maximum(largest, Load(scores + first));
  }
  return Largest(largest);
}

/// Turns scores into weights that are not yet divided by their sum, which is returned.
inline float Weigh(float* scores, std::size_t length, float largest) {
  Floats sum = Fill(0);
  for (std::size_t first = 0; first < length; first += kLanes) {
    const Floats weight = Exp(Subtract(Load(scores + first), Fill(largest)));
    Store(scores + first, weight);
    for (std::size_t i = length; i < first + kLanes; ++i) {
      scores[i] = 0;
    }
    sum = Add(sum, Load(scores + first));
  }
  return Sum(sum);
}

/// out [Part] = sum of weight * value row; value rows are HeadSize apart.
template <int HeadSize, int Part>
void Mix(const float* weights, const std::uint16_t* values, std::size_t length, float sum,
         float* out) {
  Floats sums[Part / kLanes];
  for (Floats& part : sums) {
    part = Fill(0);
  }
  for (std::size_t p = 0; p < length; ++p) {
    const Floats weight = Fill(weights[p]);
    for (int i = 0; i < Part / kLanes; ++i) {
      sums[i] = MultiplyAdd(LoadHalves(values + p * HeadSize + i * kLanes), weight, sums[i]);
    }
  }
  const Floats inverse = Fill(1.0F / sum);
  for (int i = 0; i < Part / kLanes; ++i) {
    Store(out + i * kLanes, Multiply(sums[i], inverse));
  }
}

}  // namespace internal

/// Causal attention of `tokens` queries (rows `stride` floats apart) over the cache, into which
/// WriteKv has put their own keys and values. Query head h reads KV head kv_of[h]. out [tokens,
/// Heads * HeadSize]. `scratch`: AttentionScratchFloats.
template <int Heads, int KvHeads, int HeadSize, int MaxKv>
void Attention(const float* queries, std::size_t stride,
               const KvCache<KvHeads, HeadSize, MaxKv>& cache, const std::int32_t* kv_of,
               std::uint32_t history, std::uint32_t tokens, float* scratch, float* out) {
  constexpr int kPart = HeadSize % 64 == 0 ? 64 : kLanes;
  for (int h = 0; h < Heads; ++h) {
    const std::uint16_t* const keys = cache.Keys(kv_of[h]);
    const std::uint16_t* const values = cache.Values(kv_of[h]);
    for (std::uint32_t t = 0; t < tokens; ++t) {
      const std::size_t length = history + t + 1;
      const float* const query = queries + t * stride + static_cast<std::size_t>(h) * HeadSize;
      float* const row =
          out + (static_cast<std::size_t>(t) * Heads + static_cast<std::size_t>(h)) * HeadSize;
      const float largest = internal::Scores<HeadSize>(query, keys, length, scratch);
      const float sum = internal::Weigh(scratch, length, largest);
      for (int i = 0; i < HeadSize; i += kPart) {
        internal::Mix<HeadSize, kPart>(scratch, values + i, length, sum, row + i);
      }
    }
  }
}

}  // namespace tyllm::die
