// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::die {

/// [begin, end) of things that are numbered: tokens, heads, row blocks.
struct Slice {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  constexpr Slice() = default;

  /// All of `count`. Not explicit: a kernel that is given a number does all of it.
  constexpr Slice(std::uint32_t count) : end(count) {}  // NOLINT(google-explicit-constructor)

  constexpr Slice(std::uint32_t first, std::uint32_t last) : begin(first), end(last) {}
};

/// Shares `index` .. `index + span - 1` of the `count` equal ones of a phase of a program. Parts
/// that have every share once do all of the phase; each writes what no other one reads or writes
/// before the phase ends.
struct Part {
  std::uint32_t index = 0;
  std::uint32_t count = 1;
  std::uint32_t span = 1;

  /// This part's slice of `all` things.
  constexpr Slice Of(std::uint32_t all) const {
    return {static_cast<std::uint32_t>(std::uint64_t{all} * index / count),
            static_cast<std::uint32_t>(std::uint64_t{all} * (index + span) / count)};
  }

  /// What this part's slice of `all` things has of `own`, counted from own.begin: of matrices that
  /// follow one another a part gets one stretch, not a piece of each.
  constexpr Slice Within(Slice own, std::uint32_t all) const {
    const Slice mine = Of(all);
    const auto inside = [own](std::uint32_t number) {
      return (number < own.begin ? own.begin : number > own.end ? own.end : number) - own.begin;
    };
    return {inside(mine.begin), inside(mine.end)};
  }
};

/// The most shares of a phase that says nothing else (Segment::shares): the arena has memory for
/// each.
inline constexpr std::uint32_t kMaxParts = 16;
/// The most shares of any phase.
inline constexpr std::uint32_t kMaxShares = 256;
/// Stands for as many shares as there are tokens, if they are fewer than kMaxParts.
inline constexpr std::uint16_t kSharesOfTokens = 0;

}  // namespace tyllm::die
