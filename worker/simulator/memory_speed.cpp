// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/memory_speed.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "common/base/parallel.h"
#include "worker/simulator/aligned_memory.h"

namespace tyllm::simulator {
namespace {

constexpr std::uint64_t kRegion = std::uint64_t{512} << 20U;
constexpr int kPasses = 6;
constexpr std::size_t kSums = 16;  ///< independent, so that additions do not wait for each other

std::uint64_t SumOf(const std::byte* from, std::uint64_t bytes) {
  std::uint64_t sums[kSums] = {};
  for (std::uint64_t at = 0; at + sizeof(sums) <= bytes; at += sizeof(sums)) {
    std::uint64_t words[kSums];
    std::memcpy(words, from + at, sizeof(words));
    for (std::size_t i = 0; i < kSums; ++i) {
      sums[i] += words[i];
    }
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) {
    total += sum;
  }
  return total;
}

}  // namespace

Result<double> MeasureReadSpeed(std::int64_t threads) {
  TYLLM_ASSIGN(const AlignedMemory memory,
               AlignedMemory::Allocate(kRegion, "measuring the memory's speed"));
  ThreadPool pool(static_cast<int>(threads));
  const std::uint64_t part = kRegion / static_cast<std::uint64_t>(pool.threads());
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(pool.threads()));
  pool.ParallelFor(pool.threads(), [&](std::int64_t i) {
    std::memset(memory.data() + static_cast<std::uint64_t>(i) * part, 1, part);
  });
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    pool.ParallelFor(pool.threads(), [&](std::int64_t i) {
      sums[static_cast<std::size_t>(i)] +=
          SumOf(memory.data() + static_cast<std::uint64_t>(i) * part, part);
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(kRegion) / seconds.count());
  }
  // The sums are used, so that reading cannot be left out.
  return std::find(sums.begin(), sums.end(), 0) == sums.end() ? best : 0;
}

}  // namespace tyllm::simulator
