// SPDX-License-Identifier: Apache-2.0
#include "worker/die/tower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/worker/die/random_data.h"
#include "worker/die/linear_rows.h"

namespace tyllm::die {
namespace {

/// Numbers from -6 to 6.
std::vector<float> Ramp() {
  std::vector<float> x(1200);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = -6.0F + 0.01F * static_cast<float>(i);
  }
  return x;
}

template <Floats (*Function)(Floats)>
void ExpectActivation(double (*expected)(double)) {
  const std::vector<float> x = Ramp();
  std::vector<float> y = x;
  ApplyTo<8, Function>({0, static_cast<std::uint32_t>(x.size() / 8)}, y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(y[i], expected(static_cast<double>(x[i])), 2e-6) << x[i];
  }
}

TEST(TowerKernelsTest, GeluIsByErf) {
  ExpectActivation<GeluOf>([](double x) { return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5))); });
}

TEST(TowerKernelsTest, GeluTanhIsItsApproximation) {
  ExpectActivation<GeluTanhOf>([](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  });
}

TEST(TowerKernelsTest, QuickGeluIsASigmoid) {
  ExpectActivation<QuickGeluOf>([](double x) { return x / (1 + std::exp(-1.702 * x)); });
}

TEST(TowerKernelsTest, LayerNormTakesMeanAndVarianceOut) {
  constexpr int kWidth = 48;
  const std::vector<float> x = RandomFloats(5 * kWidth, 3);
  const std::vector<float> weight = RandomFloats(kWidth, 4);
  const std::vector<float> bias = RandomFloats(kWidth, 5);
  std::vector<float> out(x.size());
  LayerNorm<kWidth>(x.data(), weight.data(), bias.data(), 1e-6F, {1, 5}, out.data());
  for (std::size_t r = 1; r < 5; ++r) {
    double mean = 0;
    double squares = 0;
    for (std::size_t i = 0; i < kWidth; ++i) {
      mean += x[r * kWidth + i] / double{kWidth};
    }
    for (std::size_t i = 0; i < kWidth; ++i) {
      squares += std::pow(x[r * kWidth + i] - mean, 2) / kWidth;
    }
    for (std::size_t i = 0; i < kWidth; ++i) {
      const double expected =
          (x[r * kWidth + i] - mean) / std::sqrt(squares + 1e-6) * weight[i] + bias[i];
      ASSERT_NEAR(out[r * kWidth + i], expected, 1e-4 * (1 + std::abs(expected)));
    }
  }
  EXPECT_EQ(std::ranges::count(std::span(out).first(kWidth), 0.0F), kWidth) << "row 0 is not asked";
}

/// Attention of a run by plain loops in float64.
double Attended(const std::vector<float>& q, const std::vector<float>& k,
                const std::vector<float>& v, std::size_t stride, std::size_t begin, std::size_t end,
                std::size_t query, std::size_t head_at, std::size_t size, std::size_t column) {
  std::vector<double> scores;
  for (std::size_t p = begin; p < end; ++p) {
    double score = 0;
    for (std::size_t i = 0; i < size; ++i) {
      score += static_cast<double>(q[query * stride + head_at + i]) * k[p * stride + head_at + i];
    }
    scores.push_back(score / std::sqrt(static_cast<double>(size)));
  }
  const double top = *std::ranges::max_element(scores);
  double sum = 0;
  double mixed = 0;
  for (std::size_t p = begin; p < end; ++p) {
    const double weight = std::exp(scores[p - begin] - top);
    sum += weight;
    mixed += weight * v[p * stride + head_at + column];
  }
  return mixed / sum;
}

TEST(TowerKernelsTest, PatchesSeeTheirRunOnlyInAnyNumberOfParts) {
  constexpr int kHeads = 2;
  constexpr int kHeadSize = 16;
  constexpr std::size_t kStride = kHeads * kHeadSize;
  const std::vector<std::int32_t> ends{5, 21, 24};
  constexpr int kCapacity = 8 + 16 + 8;
  constexpr int kLongest = 16;
  constexpr std::uint32_t kPatches = 24;
  std::vector<float> data[3];
  for (unsigned i = 0; i < 3; ++i) {
    data[i] = RandomFloats(kPatches * kStride, 11 + i);
    std::ranges::for_each(data[i], [](float& x) { x = std::clamp(x, -2.0F, 2.0F); });
  }
  AlignedBytes memory(KvLayerBytes(kHeads, kHeadSize, kCapacity));
  const KvCache<kHeads, kHeadSize, kCapacity> cache{memory.data()};
  PackRuns(data[1].data(), data[2].data(), ends.data(), kPatches, cache, {0, kHeads});
  std::vector<float> scratch(kMaxParts * AttentionScratchFloats(kLongest));
  std::vector<float> whole(kPatches * kStride);
  AttendRuns<kHeads, kHeadSize, kCapacity, kLongest>(data[0].data(), cache, ends.data(), kPatches,
                                                     scratch.data(), whole.data());
  std::vector<float> parts(whole.size());
  for (std::uint32_t p = 0; p < 3; ++p) {
    AttendRuns<kHeads, kHeadSize, kCapacity, kLongest>(data[0].data(), cache, ends.data(), kPatches,
                                                       scratch.data(), parts.data(), {p, 3});
  }
  EXPECT_EQ(whole, parts);
  std::size_t begin = 0;
  for (const std::int32_t end : ends) {
    for (std::size_t query = begin; query < static_cast<std::size_t>(end); ++query) {
      for (std::size_t c = 0; c < kStride; ++c) {
        ASSERT_NEAR(
            whole[query * kStride + c],
            Attended(data[0], data[1], data[2], kStride, begin, static_cast<std::size_t>(end),
                     query, c / kHeadSize * kHeadSize, kHeadSize, c % kHeadSize),
            5e-3);
      }
    }
    begin = static_cast<std::size_t>(end);
  }
}

TEST(TowerKernelsTest, GathersRowsInTheOrderGiven) {
  const std::vector<float> x = RandomFloats(4 * 8, 1);
  const std::vector<std::int32_t> order{2, 0, 3, 1};
  std::vector<float> out(x.size());
  GatherRows<8>(x.data(), order.data(), {0, 4}, out.data());
  for (std::size_t r = 0; r < 4; ++r) {
    EXPECT_TRUE(std::equal(out.begin() + static_cast<std::ptrdiff_t>(r) * 8,
                           out.begin() + static_cast<std::ptrdiff_t>(r + 1) * 8,
                           x.begin() + order[r] * 8));
  }
}

template <int Rows, int Columns>
void ExpectProduct(std::uint32_t rows, std::size_t pitch) {
  const std::vector<std::uint16_t> halves =
      Halves(RandomFloats(RoundUp(std::size_t{Rows} * Columns, kLanes), 1));
  const std::vector<float> weights = Floats32(halves);
  AlignedBytes packed(LinearF16Bytes(Rows, Columns));
  for (std::size_t block = 0; block < Rows / 16; ++block) {
    PackF16Block(
        std::span(halves).subspan(block * 16 * Columns), 16, Columns, Columns,
        {packed.data() + block * LinearF16BlockBytes(Columns), LinearF16BlockBytes(Columns)});
  }
  const std::vector<float> x = RandomFloats(rows * pitch, 2);
  const std::vector<float> bias = RandomFloats(Rows, 3);
  std::vector<float> out(std::size_t{rows} * Rows);
  LinearRows<Rows, Columns>(packed.data(), bias.data(), x.data(), pitch, rows, out.data());
  std::vector<float> parts(out.size());
  for (std::uint32_t b = 0; b < Rows / 16; ++b) {
    LinearRows<Rows, Columns>(packed.data(), bias.data(), x.data(), pitch, rows, parts.data(),
                              {b, b + 1});
  }
  EXPECT_EQ(out, parts);
  for (std::size_t t = 0; t < rows; ++t) {
    for (std::size_t r = 0; r < Rows; ++r) {
      double expected = bias[r];
      double size = std::abs(expected);
      for (std::size_t c = 0; c < Columns; ++c) {
        const double product =
            static_cast<double>(weights[r * Columns + c]) * static_cast<double>(x[t * pitch + c]);
        expected += product;
        size += std::abs(product);
      }
      ASSERT_NEAR(out[t * Rows + r], expected, 2e-6 * size) << t << ", " << r;
    }
  }
}

TEST(LinearRowsTest, IsTheProductWithAnyNumberOfRowsAndColumns) {
  ExpectProduct<16, 8>(1, 8);
  ExpectProduct<48, 100>(17, 120);
  ExpectProduct<32, 1176>(101, 1176);
}

TEST(LinearRowsTest, ARowDoesNotDependOnItsNeighbours) {
  const std::vector<std::uint16_t> halves = Halves(RandomFloats(16 * 600, 1));
  AlignedBytes packed(LinearF16Bytes(16, 600));
  PackF16Block(halves, 16, 600, 600, {packed.data(), LinearF16BlockBytes(600)});
  const std::vector<float> x = RandomFloats(13 * 600, 2);
  std::vector<float> all(13 * 16);
  LinearRows<16, 600>(packed.data(), nullptr, x.data(), 600, 13, all.data());
  for (std::size_t t = 0; t < 13; ++t) {
    std::vector<float> one(16);
    LinearRows<16, 600>(packed.data(), nullptr, x.data() + t * 600, 600, 1, one.data());
    EXPECT_TRUE(
        std::equal(one.begin(), one.end(), all.begin() + static_cast<std::ptrdiff_t>(t) * 16));
  }
}

}  // namespace
}  // namespace tyllm::die
