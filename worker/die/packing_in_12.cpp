// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

#include "worker/die/linear_f16_in_12.h"
#include "worker/die/packing.h"

namespace tyllm::die {

namespace {

constexpr std::size_t kHighHalves = 256;
constexpr std::uint8_t kNoEntry = 16;
constexpr std::uint32_t kInfinity = 0x7F800000U;

/// How often each high half is there.
using Frequencies = std::array<std::int64_t, kHighHalves>;

/// High halves by number, the most frequent first: those of the table, then the others.
std::array<std::uint8_t, kHighHalves> ByFrequency(const Frequencies& frequencies) {
  std::array<std::uint8_t, kHighHalves> order{};
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint8_t a, std::uint8_t b) { return frequencies[a] > frequencies[b]; });
  return order;
}

/// Calls `take` with the float32 bits of each number of a row.
template <typename Function>
void EachNumber(std::span<const std::uint16_t> row, Function take) {
  for (std::size_t c = 0; c < row.size(); c += kLanes) {
    float values[kLanes];
    Store(values, LoadHalves(row.data() + c));
    for (std::size_t i = 0; i < kLanes; ++i) {
      take(c + i, std::bit_cast<std::uint32_t>(values[i]));
    }
  }
}

/// Missing rows of a block are zeros.
Frequencies FrequenciesOf(std::span<const std::uint16_t> halves, std::int64_t rows,
                          std::int64_t columns, bool& fits) {
  Frequencies frequencies{};
  frequencies[0] = (kRowBlock - rows) * columns;
  std::uint32_t below = 0;
  bool numbers = true;
  for (std::int64_t r = 0; r < rows; ++r) {
    EachNumber(
        halves.subspan(static_cast<std::size_t>(r * columns), static_cast<std::size_t>(columns)),
        [&](std::size_t /*column*/, std::uint32_t bits) {
          below |= bits;
          numbers = numbers && (bits & 0x7FFFFFFFU) <= kInfinity;
          ++frequencies[bits >> 24U];
        });
  }
  fits = numbers && (below & 0xFFFFU) == 0;
  return frequencies;
}

}  // namespace

std::optional<std::int64_t> In12Exceptions(std::span<const std::uint16_t> halves, std::int64_t rows,
                                           std::int64_t columns) {
  bool fits = false;
  const Frequencies frequencies = FrequenciesOf(halves, rows, columns, fits);
  if (!fits) {
    return std::nullopt;
  }
  std::int64_t exceptions = 0;
  const auto order = ByFrequency(frequencies);
  for (std::size_t i = kRowBlock; i < kHighHalves; ++i) {
    exceptions += frequencies[order[i]];
  }
  return exceptions;
}

void PackF16In12Block(std::span<const std::uint16_t> halves, std::int64_t rows,
                      std::int64_t columns, std::int64_t exceptions, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  bool fits = false;
  const auto order = ByFrequency(FrequenciesOf(halves, rows, columns, fits));
  std::array<std::uint8_t, kHighHalves> entries{};
  entries.fill(kNoEntry);
  for (std::uint8_t i = 0; i < kRowBlock; ++i) {
    entries[order[i]] = i;
    out[i] = static_cast<std::byte>(order[i]);
  }
  const std::uint8_t zero = entries[0];
  const auto head = In12HeadBytes(static_cast<std::uint64_t>(exceptions));
  std::vector<std::uint32_t> outside;
  for (std::int64_t r = 0; r < kRowBlock; ++r) {
    const auto row = static_cast<int>(r);
    const auto put = [&](std::size_t column, std::uint8_t entry, std::uint32_t low) {
      std::byte* const step = out.data() + head + column / kStepColumns * kStepBytes;
      const auto in_step = static_cast<int>(column % kStepColumns);
      const int place = BrainPlace(row, in_step % kBrainColumns);
      const bool first = in_step < kBrainColumns;
      step[place] |= static_cast<std::byte>(first ? entry : entry << 4U);
      step[(first ? 64 : 128) + place] = static_cast<std::byte>(low);
    };
    if (r >= rows) {
      for (std::size_t c = 0; c < static_cast<std::size_t>(columns); ++c) {
        put(c, zero, 0);
      }
      continue;
    }
    EachNumber(
        halves.subspan(static_cast<std::size_t>(r * columns), static_cast<std::size_t>(columns)),
        [&](std::size_t column, std::uint32_t bits) {
          const std::uint8_t entry = entries[bits >> 24U];
          if (entry == kNoEntry) {
            outside.push_back((bits >> 24U) << 24U |
                              static_cast<std::uint32_t>(column * kRowBlock) |
                              static_cast<std::uint32_t>(row));
          }
          put(column, entry % kNoEntry, bits >> 16U);
        });
  }
  std::sort(outside.begin(), outside.end(),
            [](std::uint32_t a, std::uint32_t b) { return (a & 0xFFFFFFU) < (b & 0xFFFFFFU); });
  const auto count = static_cast<std::uint32_t>(outside.size());
  std::memcpy(out.data() + kRowBlock, &count, sizeof(count));
  std::ranges::copy(std::as_bytes(std::span(outside)),
                    out.begin() + kRowBlock + static_cast<std::ptrdiff_t>(sizeof(count)));
}

}  // namespace tyllm::die
