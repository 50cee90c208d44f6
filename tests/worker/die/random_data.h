// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "worker/die/lanes.h"
#include "worker/die/packing.h"

namespace tyllm::die {

/// Normal numbers with an outlier of 30 sigma every 97, as activations of language models have.
inline std::vector<float> RandomFloats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = normal(random) * (i % 97 == 13 ? 30.0F : 1.0F);
  }
  return out;
}

/// binary16 bits of `values` (a multiple of 8 of them).
inline std::vector<std::uint16_t> Halves(const std::vector<float>& values) {
  std::vector<std::uint16_t> out(values.size());
  for (std::size_t i = 0; i < values.size(); i += kLanes) {
    StoreHalves(out.data() + i, Load(values.data() + i));
  }
  return out;
}

inline std::vector<float> Floats32(const std::vector<std::uint16_t>& halves) {
  std::vector<float> out(halves.size());
  for (std::size_t i = 0; i < halves.size(); i += kLanes) {
    Store(out.data() + i, LoadHalves(halves.data() + i));
  }
  return out;
}

/// A random 4-bit matrix and the memory that its spans point into.
struct RandomMatrix {
  RandomMatrix(std::int64_t rows, std::int64_t columns, std::int64_t group, unsigned seed) {
    std::mt19937 random(seed);
    const auto groups = static_cast<std::size_t>(rows * columns / group);
    std::vector<float> scales(RoundUp(groups, kLanes), 0.0F);
    for (std::size_t i = 0; i < groups; ++i) {
      scales[i] = 0.001F + 0.0001F * static_cast<float>(random() % 100);
      zero.push_back(static_cast<std::uint8_t>(random() % 16));
    }
    scale = Halves(scales);
    scale.resize(groups);
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      q.push_back(static_cast<std::uint8_t>(random() % 16));
    }
    source = {rows, columns, group, {0, 0, columns, q}, zero, scale};
  }

  double Value(std::int64_t row, std::int64_t column) const {
    const auto at = static_cast<std::size_t>(row * source.columns + column);
    const auto g =
        static_cast<std::size_t>(row * (source.columns / source.group) + column / source.group);
    const std::uint16_t half[kLanes] = {scale[g]};
    float lanes[kLanes];
    Store(lanes, LoadHalves(half));
    return (static_cast<double>(q[at]) - zero[g]) * lanes[0];
  }

  std::vector<std::uint8_t> q;
  std::vector<std::uint8_t> zero;
  std::vector<std::uint16_t> scale;
  QuantizedSource source;
};

/// 64-byte aligned zeros.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t bytes) : memory_(bytes + 64) {}

  std::byte* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    return memory_.data() + (RoundUp(address, 64) - address);
  }

 private:
  std::vector<std::byte> memory_;
};

}  // namespace tyllm::die
