// SPDX-License-Identifier: Apache-2.0
#pragma once

// The lanes of lanes.h in plain loops, for every other target: the numbers are those of AVX2.
// Included by it.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tyllm::die {

struct Floats {
  float v[kLanes];
};

struct Ints {
  std::int32_t v[kLanes];
};

/// Sixteen int16: a pair for each of the eight lanes.
struct Pairs {
  std::int16_t v[2 * kLanes];
};

namespace internal {

template <typename Out, typename Function>
Out EachLane(Function function) {
  Out out;
  constexpr int kCount = sizeof(out.v) / sizeof(out.v[0]);
  for (int i = 0; i < kCount; ++i) {
    out.v[i] = function(i);
  }
  return out;
}

}  // namespace internal

inline float HalfToFloat(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7FFFU;
  if (magnitude < 0x400U) {
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t exponent = magnitude >= 0x7C00U ? 0x70000000U : 0x38000000U;
  return std::bit_cast<float>(sign | ((magnitude << 13) + exponent));
}

/// To the nearest, ties to even.
inline std::uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) {
    return static_cast<std::uint16_t>(sign | 0x7E00U);
  }
  if (magnitude >= 0x477FF000U) {
    return static_cast<std::uint16_t>(sign | 0x7C00U);
  }
  if (magnitude < 0x38800000U) {  // subnormal: let a float addition round
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + odd) >> 13));
}

inline Floats Load(const float* from) {
  return internal::EachLane<Floats>([&](int i) { return from[i]; });
}

inline void Store(float* to, const Floats& a) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = a.v[i];
  }
}

inline Floats Fill(float a) {
  return internal::EachLane<Floats>([&](int) { return a; });
}

inline Floats Add(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] + b.v[i]; });
}

inline Floats Subtract(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] - b.v[i]; });
}

inline Floats Multiply(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] * b.v[i]; });
}

inline Floats Divide(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] / b.v[i]; });
}

inline Floats Maximum(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}

inline Floats Minimum(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}

/// a * b + c, rounded once where the target can.
inline Floats MultiplyAdd(const Floats& a, const Floats& b, const Floats& c) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}

inline Floats Magnitude(const Floats& a) {
  return internal::EachLane<Floats>([&](int i) { return std::fabs(a.v[i]); });
}

/// Eight binary16 numbers as float32.
inline Floats LoadHalves(const std::uint16_t* from) {
  return internal::EachLane<Floats>([&](int i) { return HalfToFloat(from[i]); });
}

inline void StoreHalves(std::uint16_t* to, const Floats& a) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = FloatToHalf(a.v[i]);
  }
}

inline Ints ZeroInts() {
  return Ints{};
}

inline Ints FillInts(std::int32_t a) {
  return internal::EachLane<Ints>([&](int) { return a; });
}

inline Ints Add(const Ints& a, const Ints& b) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] + b.v[i]; });
}

inline Ints Subtract(const Ints& a, const Ints& b) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] - b.v[i]; });
}

inline Ints Multiply(const Ints& a, const Ints& b) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] * b.v[i]; });
}

/// Arithmetic shift.
template <int Bits>
Ints ShiftRight(const Ints& a) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] >> Bits; });
}

template <int Bits>
Ints ShiftLeft(const Ints& a) {
  return internal::EachLane<Ints>(
      [&](int i) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(a.v[i]) << Bits); });
}

inline Floats ToFloats(const Ints& a) {
  return internal::EachLane<Floats>([&](int i) { return static_cast<float>(a.v[i]); });
}

/// To the nearest, ties to even.
inline Ints Round(const Floats& a) {
  return internal::EachLane<Ints>(
      [&](int i) { return static_cast<std::int32_t>(std::lrint(a.v[i])); });
}

inline Floats BitsAsFloats(const Ints& a) {
  return internal::EachLane<Floats>([&](int i) { return std::bit_cast<float>(a.v[i]); });
}

/// Nibble r of `packed` in lane r.
inline Ints Nibbles(std::uint32_t packed) {
  return internal::EachLane<Ints>(
      [&](int i) { return static_cast<std::int32_t>((packed >> (4 * i)) & 15U); });
}

inline Pairs LoadPairs(const void* from) {
  Pairs out;
  std::memcpy(out.v, from, sizeof(out.v));
  return out;
}

inline void StorePairs(void* to, const Pairs& a) {
  std::memcpy(to, a.v, sizeof(a.v));
}

/// Sixteen int8 as int16.
inline Pairs WidenPairs(const std::byte* from) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(static_cast<std::int8_t>(from[i])); });
}

/// The two numbers at `from` in every lane.
inline Pairs FillPair(const std::int16_t* from) {
  return internal::EachLane<Pairs>([&](int i) { return from[i & 1]; });
}

/// The four bytes at `from` in every lane.
inline Pairs FillQuad(const std::int8_t* from) {
  std::int16_t two[2];
  std::memcpy(two, from, sizeof(two));
  return internal::EachLane<Pairs>([&](int i) { return two[i % 2]; });
}

/// Of every lane's four bytes, not signed in `a` and signed in `b`, the sums of two products and
/// two; they fit into int16.
inline Pairs MultiplyBytes(const Pairs& a, const Pairs& b) {
  const auto byte = [](std::int16_t both, int n) {
    return static_cast<std::uint8_t>(static_cast<std::uint16_t>(both) >> (8 * n));
  };
  return internal::EachLane<Pairs>([&](int i) {
    return static_cast<std::int16_t>(byte(a.v[i], 0) * static_cast<std::int8_t>(byte(b.v[i], 0)) +
                                     byte(a.v[i], 1) * static_cast<std::int8_t>(byte(b.v[i], 1)));
  });
}

inline Pairs Add(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(a.v[i] + b.v[i]); });
}

inline Pairs FillPairs(std::int16_t a) {
  return internal::EachLane<Pairs>([&](int) { return a; });
}

/// Each lane's (small, not negative) number in both halves of its pair.
inline Pairs Twice(const Ints& a) {
  return internal::EachLane<Pairs>([&](int i) { return static_cast<std::int16_t>(a.v[i / 2]); });
}

inline Pairs And(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Pairs>([&](int i) {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(a.v[i]) &
                                     static_cast<std::uint16_t>(b.v[i]));
  });
}

/// Logical shift of each int16.
template <int Bits>
Pairs ShiftRight(const Pairs& a) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(static_cast<std::uint16_t>(a.v[i]) >> Bits); });
}

inline Pairs Subtract(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(a.v[i] - b.v[i]); });
}

/// Sum of the two products of each lane.
inline Ints MultiplyPairs(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Ints>(
      [&](int i) { return a.v[2 * i] * b.v[2 * i] + a.v[2 * i + 1] * b.v[2 * i + 1]; });
}

/// Sixteen numbers that fit, in order: a's lanes, then b's.
inline Pairs Narrow(const Ints& a, const Ints& b) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(i < kLanes ? a.v[i] : b.v[i - kLanes]); });
}

}  // namespace tyllm::die
