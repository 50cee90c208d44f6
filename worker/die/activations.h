// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/die/lanes.h"
#include "worker/die/part.h"

namespace tyllm::die {

/// Rows of activations as int16 (8-bit ones too) with a float32 scale a group: x = value * scale.
/// `sums` are the sums of a group's values, which take a weight's zero point out of a product.
/// Lives in the arena. Groups come before tokens, so that what a tile of a product reads lies
/// together.
struct Activations {
  std::int16_t* values;  ///< [columns / group, rows, group]
  float* scales;         ///< [columns / group, rows]
  std::int32_t* sums;    ///< [columns / group, rows]
  std::size_t rows;      ///< tokens that there is room for
};

/// Arena bytes for `tokens` rows.
inline constexpr std::uint64_t ActivationBytes(std::uint64_t tokens, std::uint64_t columns,
                                               std::uint64_t group) {
  return RoundUp(tokens * columns * 2, 64) + 2 * RoundUp(tokens * (columns / group) * 4, 64);
}

/// The parts of ActivationBytes(tokens, Columns, Group) bytes at `memory`.
template <int Columns, int Group>
Activations ActivationsAt(std::byte* memory, std::uint64_t tokens) {
  std::byte* const scales = memory + RoundUp(tokens * Columns * 2, 64);
  std::byte* const sums = scales + RoundUp(tokens * (Columns / Group) * 4, 64);
  return {reinterpret_cast<std::int16_t*>(memory), reinterpret_cast<float*>(scales),
          reinterpret_cast<std::int32_t*>(sums), tokens};
}

/// One group: the largest magnitude becomes the largest number of `Bits` bits. Returns the scale.
template <int Group, int Bits = 16>
float QuantizeGroup(const float* x, std::int16_t* values, std::int32_t* sum) {
  constexpr float kTop = (1 << (Bits - 1)) - 1;
  Floats largest = Fill(0);
  for (int i = 0; i < Group; i += kLanes) {
    largest = Maximum(largest, Magnitude(Load(x + i)));
  }
  const float top = Largest(largest);
  const Floats inverse = Fill(top > 0 ? kTop / top : 0.0F);
  Ints total = ZeroInts();
  for (int i = 0; i < Group; i += 2 * kLanes) {
    const Ints low = Round(Multiply(Load(x + i), inverse));
    const Ints high = Round(Multiply(Load(x + i + kLanes), inverse));
    total = Add(total, Add(low, high));
    StorePairs(values + i, Narrow(low, high));
  }
  std::int32_t lane[kLanes];
  std::memcpy(lane, &total, sizeof(lane));
  *sum = 0;
  for (const std::int32_t part : lane) {
    *sum += part;
  }
  return top / kTop;
}

/// Where the columns of a step of eight stand in it when activations are bytes: the order in which
/// the nibbles of a 32-bit word of Linear4's layout come out of it, first the low ones.
inline constexpr int kByteOrder[8] = {0, 4, 1, 5, 2, 6, 3, 7};

/// The same as int8, for products with bytes: `values` holds int8 [columns / group, rows, group],
/// every eight columns in kByteOrder.
template <int Group>
float QuantizeGroupToBytes(const float* x, std::int8_t* bytes, std::int32_t* sum) {
  std::int16_t values[Group];
  const float scale = QuantizeGroup<Group, 8>(x, values, sum);
  for (int i = 0; i < Group; i += 8) {
    for (int j = 0; j < 8; ++j) {
      bytes[i + j] = static_cast<std::int8_t>(values[i + kByteOrder[j]]);
    }
  }
  return scale;
}

/// `x` [tokens, Columns] (rows `stride` floats apart).
template <int Columns, int Group>
void QuantizeToBytes(const float* x, std::size_t stride, Slice tokens, const Activations& out) {
  static_assert(Columns % Group == 0 && Group % 16 == 0);
  auto* const bytes = reinterpret_cast<std::int8_t*>(out.values);
  for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
    for (std::size_t g = 0; g < Columns / Group; ++g) {
      const std::size_t at = g * out.rows + t;
      out.scales[at] = QuantizeGroupToBytes<Group>(x + t * stride + g * Group, bytes + at * Group,
                                                   out.sums + at);
    }
  }
}

/// `x` [tokens, Columns] (rows `stride` floats apart).
template <int Columns, int Group, int Bits = 16>
void QuantizeActivations(const float* x, std::size_t stride, Slice tokens, const Activations& out) {
  static_assert(Columns % Group == 0 && Group % 16 == 0);
  for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
    for (std::size_t g = 0; g < Columns / Group; ++g) {
      const std::size_t at = g * out.rows + t;
      out.scales[at] = QuantizeGroup<Group, Bits>(x + t * stride + g * Group,
                                                  out.values + at * Group, out.sums + at);
    }
  }
}

}  // namespace tyllm::die
