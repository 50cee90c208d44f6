// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "worker/plan/schedule.h"

namespace tyllm::plan {

/// Phases of a program numbered one after another, each layer kind once: a buffer is needed from
/// `first` to `last`, both included.
struct Lifetime {
  std::int64_t first = 0;
  std::int64_t last = 0;

  bool Overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

/// Where each buffer of a schedule lies in the die's arena.
struct MemoryPlan {
  std::vector<std::uint64_t> offsets;  ///< [buffers], bytes, multiples of kArenaAlignment
  std::vector<std::uint64_t> sizes;    ///< [buffers], bytes
  std::vector<Lifetime> lifetimes;     ///< [buffers]
  std::uint64_t arena_bytes = 0;
};

inline constexpr std::uint64_t kArenaAlignment = 64;

/// Bytes that a buffer takes for a full bucket.
std::uint64_t BufferBytes(const Buffer& buffer);

/// Bytes of a die's KV cache: the same for all its programs.
std::uint64_t KvCacheBytes(const Schedule& schedule);
/// Bytes of one layer of it.
std::uint64_t KvLayerBytes(const Schedule& schedule);

/// When each buffer is needed. kInternal names a buffer that is read before it is written, or used
/// in two segments without being marked whole_call.
Result<std::vector<Lifetime>> LifetimesOf(const Schedule& schedule);

/// Places the largest buffers first, each into the smallest gap that holds it.
Result<MemoryPlan> PlanMemory(const Schedule& schedule);

/// Proves a plan: every buffer has its place inside the arena, aligned, and no two that are needed
/// at the same time share a byte. kInternal names the two buffers.
Status CheckMemoryPlan(const Schedule& schedule, const MemoryPlan& memory);

}  // namespace tyllm::plan
