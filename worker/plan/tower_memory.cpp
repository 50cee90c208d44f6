// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "worker/plan/tower_schedule.h"

namespace tyllm::plan {

namespace {

constexpr std::uint64_t kAlignment = 64;

std::uint64_t Aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Steps of a kind between which a buffer is needed, both included.
struct Lifetime {
  std::int64_t first = 0;
  std::int64_t last = 0;

  bool Overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

std::map<TowerBufferId, Lifetime> LifetimesOf(const TowerBlockKind& kind) {
  std::map<TowerBufferId, Lifetime> lifetimes;
  std::int64_t number = 0;
  const auto use = [&](TowerBufferId id) {
    if (id > kFeaturesBuffer) {
      lifetimes.try_emplace(id, Lifetime{number, number}).first->second.last = number;
    }
  };
  for (const TowerSegment& segment : kind.segments) {
    for (const TowerStep& step : segment.steps) {
      std::ranges::for_each(step.inputs, use);
      use(step.output);
      ++number;
    }
  }
  return lifetimes;
}

/// The lowest place from `base` on where `bytes` meet none of `taken`, which are (begin, end).
std::uint64_t FirstGap(std::vector<std::pair<std::uint64_t, std::uint64_t>> taken,
                       std::uint64_t base, std::uint64_t bytes) {
  std::ranges::sort(taken);
  std::uint64_t at = base;
  for (const auto& [begin, end] : taken) {
    if (at + bytes <= begin) {
      break;
    }
    at = std::max(at, end);
  }
  return at;
}

/// Places the buffers of a kind from `base` on, large ones first; the end of what is used.
std::uint64_t Place(TowerSchedule& schedule, const TowerBlockKind& kind, std::uint64_t base) {
  const std::map<TowerBufferId, Lifetime> lifetimes = LifetimesOf(kind);
  const auto of = [&](TowerBufferId id) -> TowerBuffer& {
    return schedule.buffers[static_cast<std::size_t>(id)];
  };
  std::vector<TowerBufferId> order;
  for (const auto& [id, lifetime] : lifetimes) {
    order.push_back(id);
  }
  std::ranges::stable_sort(
      order, [&](TowerBufferId a, TowerBufferId b) { return of(a).bytes > of(b).bytes; });
  std::vector<TowerBufferId> placed;
  std::uint64_t end = base;
  for (const TowerBufferId id : order) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
    for (const TowerBufferId other : placed) {
      if (lifetimes.at(id).Overlaps(lifetimes.at(other))) {
        taken.emplace_back(of(other).offset, of(other).offset + Aligned(of(other).bytes));
      }
    }
    of(id).offset = FirstGap(std::move(taken), base, Aligned(of(id).bytes));
    end = std::max(end, of(id).offset + Aligned(of(id).bytes));
    placed.push_back(id);
  }
  return end;
}

}  // namespace

void PlaceTowerBuffers(TowerSchedule& schedule) {
  std::uint64_t base = 0;
  for (const TowerBufferId id : {kHiddenBuffer, kFeaturesBuffer}) {
    TowerBuffer& buffer = schedule.buffers[static_cast<std::size_t>(id)];
    buffer.offset = base;
    base += Aligned(buffer.bytes);
  }
  schedule.arena_bytes = base;
  for (const TowerBlockKind& kind : schedule.kinds) {
    schedule.arena_bytes = std::max(schedule.arena_bytes, Place(schedule, kind, base));
  }
}

}  // namespace tyllm::plan
