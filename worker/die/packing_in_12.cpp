// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "worker/die/linear_f16_in_12.h"
#include "worker/die/packing.h"
#include "worker/die/packing_loops.h"

namespace tyllm::die {

namespace {

constexpr std::size_t kHighHalves = 256;
/// Columns that are packed at once: all rows of them, and their steps, stay in the first cache.
constexpr std::int64_t kTileColumns = 512;

/// How often each high half is there.
using Frequencies = std::array<std::uint32_t, kHighHalves>;

/// High halves by number, the most frequent first, of equally frequent ones the smallest: those of
/// the table, then the others.
std::array<std::uint8_t, kHighHalves> ByFrequency(const Frequencies& frequencies) {
  std::array<std::uint8_t, kHighHalves> order{};
  const auto is_there = [&](std::size_t high) { return frequencies[high] > 0; };
  auto end = order.begin();
  for (std::size_t high = 0; high < kHighHalves; ++high) {
    if (is_there(high)) {
      *end++ = static_cast<std::uint8_t>(high);
    }
  }
  std::sort(order.begin(), end, [&](std::uint8_t a, std::uint8_t b) {
    return frequencies[a] != frequencies[b] ? frequencies[a] > frequencies[b] : a < b;
  });
  for (std::size_t high = 0; high < kHighHalves; ++high) {
    if (!is_there(high)) {
      *end++ = static_cast<std::uint8_t>(high);
    }
  }
  return order;
}

/// Those that the table has no room for.
std::uint32_t Outside(const Frequencies& frequencies,
                      const std::array<std::uint8_t, kHighHalves>& order) {
  std::uint32_t outside = 0;
  for (std::size_t i = kRowBlock; i < kHighHalves; ++i) {
    outside += frequencies[order[i]];
  }
  return outside;
}

/// Adds up high halves. Neighbours are counted apart, since a count that was just written is slow
/// to read again.
class Count {
 public:
  /// `count` is a multiple of 8.
  void Add(const std::uint16_t* brains, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += 8) {
      std::uint64_t four[2];
      std::memcpy(four, brains + i, sizeof(four));
      for (std::size_t k = 0; k < 2; ++k) {
        ++apart_[4 * k][four[k] >> 8U & 255U];
        ++apart_[4 * k + 1][four[k] >> 24U & 255U];
        ++apart_[4 * k + 2][four[k] >> 40U & 255U];
        ++apart_[4 * k + 3][four[k] >> 56U];
      }
    }
  }

  Frequencies Total() const {
    Frequencies total{};
    for (const Frequencies& part : apart_) {
      for (std::size_t high = 0; high < kHighHalves; ++high) {
        total[high] += part[high];
      }
    }
    return total;
  }

 private:
  std::array<Frequencies, 8> apart_{};
};

/// Missing rows of a block are zeros.
Frequencies FrequenciesOf(const PackingLoops& loops, std::span<const std::uint16_t> halves,
                          std::int64_t rows, std::int64_t columns, bool& fits) {
  Count count;
  const std::int64_t numbers = rows * columns;
  fits = true;
  for (std::int64_t i = 0; i < numbers; i += kTileColumns) {
    std::uint16_t brains[kTileColumns];
    const std::int64_t some = std::min(kTileColumns, numbers - i);
    fits = loops.to_brains(halves.data() + i, some, brains) && fits;
    count.Add(brains, some);
  }
  Frequencies frequencies = count.Total();
  frequencies[0] += static_cast<std::uint32_t>((kRowBlock - rows) * columns);
  return frequencies;
}

}  // namespace

std::optional<std::int64_t> In12Exceptions(std::span<const std::uint16_t> halves, std::int64_t rows,
                                           std::int64_t columns) {
  bool fits = false;
  const Frequencies frequencies =
      FrequenciesOf(*PackingLoopsHere().back(), halves, rows, columns, fits);
  if (!fits) {
    return std::nullopt;
  }
  return Outside(frequencies, ByFrequency(frequencies));
}

void PackF16In12Block(std::span<const std::uint16_t> halves, std::int64_t rows,
                      std::int64_t columns, std::int64_t exceptions, std::span<std::byte> out) {
  PackF16In12Block(*PackingLoopsHere().back(), halves, rows, columns, exceptions, out);
}

void PackF16In12Block(const PackingLoops& loops, std::span<const std::uint16_t> halves,
                      std::int64_t rows, std::int64_t columns, std::int64_t exceptions,
                      std::span<std::byte> out) {
  bool fits = false;
  const Frequencies frequencies = FrequenciesOf(loops, halves, rows, columns, fits);
  const auto order = ByFrequency(frequencies);
  const auto head = In12HeadBytes(static_cast<std::uint64_t>(exceptions));
  std::fill_n(out.begin(), head, std::byte{0});
  BrainEntries entries{};
  entries.fill(kNoEntry);
  for (std::uint8_t i = 0; i < kRowBlock; ++i) {
    entries[order[i]] = i;
    out[i] = static_cast<std::byte>(order[i]);
  }
  std::vector<std::uint32_t> outside(Outside(frequencies, order));
  std::uint32_t* end = outside.data();
  for (std::int64_t c = 0; c < columns; c += kTileColumns) {
    std::uint16_t brains[kRowBlock * kTileColumns];
    const std::int64_t some = std::min(kTileColumns, columns - c);
    for (std::int64_t r = 0; r < rows; ++r) {
      loops.to_brains(halves.data() + r * columns + c, some, brains + r * some);
    }
    std::fill_n(brains + rows * some, (kRowBlock - rows) * some, std::uint16_t{0});
    end = loops.brain_steps({brains, some, some, c}, entries,
                            out.data() + head + c / kStepColumns * kStepBytes, end);
  }
  std::sort(outside.begin(), outside.end(),
            [](std::uint32_t a, std::uint32_t b) { return (a & 0xFFFFFFU) < (b & 0xFFFFFFU); });
  const auto count = static_cast<std::uint32_t>(outside.size());
  std::memcpy(out.data() + kRowBlock, &count, sizeof(count));
  std::ranges::copy(std::as_bytes(std::span(outside)),
                    out.begin() + kRowBlock + static_cast<std::ptrdiff_t>(sizeof(count)));
}

}  // namespace tyllm::die
