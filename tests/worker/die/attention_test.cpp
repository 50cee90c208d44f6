// SPDX-License-Identifier: Apache-2.0
#include "worker/die/attention.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

template <int Heads, int KvHeads, int HeadSize, int MaxKv>
class Layer {
 public:
  using Cache = KvCache<KvHeads, HeadSize, MaxKv>;
  static constexpr std::size_t kStride = (Heads + 2 * KvHeads) * HeadSize;

  Layer()
      : rows_(RandomFloats(MaxKv * kStride, 1)),
        memory_(KvLayerBytes(KvHeads, HeadSize, MaxKv)),
        scratch_(kMaxParts * AttentionScratchFloats(MaxKv)) {
    for (int h = 0; h < Heads; ++h) {
      kv_of_[h] = h * KvHeads / Heads;
    }
  }

  /// Tokens [history, history + tokens); what came before is in the cache.
  std::vector<float> Feed(std::uint32_t history, std::uint32_t tokens, std::uint32_t parts = 1) {
    const Cache cache{memory_.data()};
    const float* const q = rows_.data() + history * kStride;
    const float* const k = q + Heads * HeadSize;
    WriteKv(k, k + KvHeads * HeadSize, kStride, history, tokens, cache);
    std::vector<float> out(static_cast<std::size_t>(tokens) * Heads * HeadSize);
    for (std::uint32_t part = parts; part-- > 0;) {
      Attention<Heads>(q, kStride, cache, kv_of_, history, tokens, scratch_.data(), out.data(),
                       {part, parts});
    }
    return out;
  }

  double Expected(std::size_t token, std::size_t head, std::size_t element) const {
    const std::size_t kv = static_cast<std::size_t>(kv_of_[head]);
    std::vector<double> weights;
    double sum = 0;
    for (std::size_t p = 0; p <= token; ++p) {
      double score = 0;
      for (std::size_t i = 0; i < HeadSize; ++i) {
        score += static_cast<double>(rows_[token * kStride + head * HeadSize + i]) * Key(p, kv, i);
      }
      weights.push_back(std::exp(score / std::sqrt(HeadSize) - 40.0));
      sum += weights.back();
    }
    double out = 0;
    for (std::size_t p = 0; p <= token; ++p) {
      out += weights[p] / sum * rows_[p * kStride + (Heads + KvHeads + kv) * HeadSize + element];
    }
    return out;
  }

 private:
  float Key(std::size_t p, std::size_t kv, std::size_t i) const {
    return rows_[p * kStride + (Heads + kv) * HeadSize + i];
  }

  std::vector<float> rows_;
  AlignedBytes memory_;
  std::vector<float> scratch_;
  std::int32_t kv_of_[Heads];
};

template <int Heads, int KvHeads, int HeadSize, int MaxKv>
void CheckAgainstDouble() {
  Layer<Heads, KvHeads, HeadSize, MaxKv> layer;
  const std::vector<float> out = layer.Feed(0, MaxKv);
  double error = 0;
  double norm = 0;
  for (std::size_t t = 0; t < MaxKv; ++t) {
    for (std::size_t h = 0; h < Heads; ++h) {
      for (std::size_t i = 0; i < HeadSize; ++i) {
        const double expected = layer.Expected(t, h, i);
        const double difference = expected - out[(t * Heads + h) * HeadSize + i];
        error += difference * difference;
        norm += expected * expected;
      }
    }
  }
  EXPECT_LT(std::sqrt(error / norm), 3e-3);
}

TEST(Attention, IsSoftmaxOverEarlierTokens) {
  CheckAgainstDouble<1, 1, 16, 9>();
  CheckAgainstDouble<4, 2, 64, 50>();
  CheckAgainstDouble<7, 1, 128, 30>();
  CheckAgainstDouble<3, 3, 80, 33>();
}

TEST(Attention, ATokenHasTheSameBitsWhateverTheChunks) {
  constexpr int kMaxKv = 113;
  constexpr std::size_t kRow = 4 * 64;
  Layer<4, 2, 64, kMaxKv> whole;
  const std::vector<float> expected = whole.Feed(0, kMaxKv);
  for (const std::uint32_t chunk : {1U, 5U, 8U, 96U}) {
    Layer<4, 2, 64, kMaxKv> layer;
    std::vector<float> out;
    for (std::uint32_t at = 0; at < kMaxKv; at += chunk) {
      const std::vector<float> part = layer.Feed(at, std::min(chunk, kMaxKv - at));
      out.insert(out.end(), part.begin(), part.end());
    }
    ASSERT_EQ(out.size(), kMaxKv * kRow);
    EXPECT_EQ(out, expected) << "chunks of " << chunk;
  }
}

TEST(Attention, PartsTogetherGiveTheBitsOfTheWhole) {
  Layer<7, 2, 32, 40> whole;
  Layer<7, 2, 32, 40> shared;
  for (const std::uint32_t tokens : {1U, 13U, 26U}) {
    const std::vector<float> expected = whole.Feed(0, tokens);
    for (std::uint32_t parts = 2; parts <= kMaxParts; parts += 3) {
      ASSERT_EQ(shared.Feed(0, tokens, parts), expected) << tokens << " tokens, " << parts;
    }
  }
}

TEST(Attention, HeadsReadTheKvHeadThatTheTableNames) {
  constexpr int kHead = 16;
  AlignedBytes memory(KvLayerBytes(2, kHead, 8));
  const KvCache<2, kHead, 8> cache{memory.data()};
  std::vector<float> kv(4 * kHead, 0.0F);
  for (std::size_t i = 0; i < kHead; ++i) {
    kv[2 * kHead + i] = 1.0F;
    kv[3 * kHead + i] = 2.0F;
  }
  WriteKv(kv.data(), kv.data() + 2 * kHead, 4 * kHead, 0, 1, cache);
  const std::vector<float> query(3 * kHead, 1.0F);
  const std::int32_t kv_of[] = {1, 0, 1};
  float scratch[AttentionScratchFloats(8)];
  std::vector<float> out(3 * kHead);
  Attention<3>(query.data(), 3 * kHead, cache, kv_of, 0, 1, scratch, out.data());
  EXPECT_EQ(out[0], 2.0F);
  EXPECT_EQ(out[kHead], 1.0F);
  EXPECT_EQ(out[2 * kHead], 2.0F);
}

TEST(Attention, ScoresOfAnySizeDoNotOverflow) {
  constexpr int kHead = 16;
  AlignedBytes memory(KvLayerBytes(1, kHead, 8));
  const KvCache<1, kHead, 8> cache{memory.data()};
  std::vector<float> rows(2 * 2 * kHead, 0.0F);
  for (std::size_t i = 0; i < kHead; ++i) {
    rows[i] = 1000.0F;
    rows[kHead + i] = 3.0F;
    rows[2 * kHead + i] = -1000.0F;
    rows[3 * kHead + i] = 7.0F;
  }
  WriteKv(rows.data(), rows.data() + kHead, 2 * kHead, 0, 2, cache);
  const std::vector<float> query(2 * kHead, 1000.0F);
  const std::int32_t kv_of[] = {0};
  float scratch[AttentionScratchFloats(8)];
  std::vector<float> out(2 * kHead);
  Attention<1>(query.data(), kHead, cache, kv_of, 0, 2, scratch, out.data());
  EXPECT_FLOAT_EQ(out[0], 3.0F);
  EXPECT_FLOAT_EQ(out[kHead], 3.0F);
}

}  // namespace
}  // namespace tyllm::die
