// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/memory_plan.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "worker/die/activations.h"
#include "worker/die/attention.h"
#include "worker/plan/phases.h"

namespace tyllm::plan {
namespace {

std::uint64_t RoundUp(std::uint64_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

std::vector<const SegmentPlan*> DistinctSegments(const Schedule& schedule) {
  std::vector<const SegmentPlan*> segments{&schedule.embed};
  for (const LayerKind& kind : schedule.layer_kinds) {
    for (const SegmentPlan& segment : kind.segments) {
      segments.push_back(&segment);
    }
  }
  segments.push_back(&schedule.head);
  return segments;
}

/// Follows the steps and notes when each buffer is first written and last used.
class LifetimeFinder {
 public:
  explicit LifetimeFinder(const Schedule& schedule)
      : schedule_(schedule),
        found_(schedule.buffers.size(), {-1, -1}),
        segment_of_(found_.size()) {}

  Result<std::vector<Lifetime>> Find() {
    for (const SegmentPlan* segment : DistinctSegments(schedule_)) {
      ++segment_;
      // Parts of a phase may be at different steps of it.
      for (const std::span<const Step> phase : CutIntoPhases(segment->steps)) {
        for (const Step& step : phase) {
          TYLLM_TRY(Follow(step));
        }
        ++time_;
      }
    }
    for (std::size_t b = 0; b < found_.size(); ++b) {
      if (schedule_.buffers[b].whole_call) {
        found_[b] = {0, time_};
      }
    }
    found_[static_cast<std::size_t>(schedule_.logits)].last = time_;
    return found_;
  }

 private:
  Status Follow(const Step& step) {
    for (const BufferId input : step.inputs) {
      const Buffer& buffer = schedule_.buffers[static_cast<std::size_t>(input)];
      const bool is_scratch = buffer.kind == BufferKind::kAttentionScratch;
      if (!is_scratch && !buffer.whole_call && Of(input).first < 0) {
        return Internal("buffer " + buffer.name + " is read before it is written");
      }
      TYLLM_TRY(Use(input));
    }
    return step.output < 0 ? OkStatus() : Use(step.output);
  }

  Status Use(BufferId id) {
    const auto index = static_cast<std::size_t>(id);
    const Buffer& buffer = schedule_.buffers[index];
    if (found_[index].first < 0) {
      found_[index].first = time_;
      segment_of_[index] = segment_;
    }
    if (segment_of_[index] != segment_ && !buffer.whole_call) {
      return Internal("buffer " + buffer.name + " is used in two segments");
    }
    found_[index].last = time_;
    return OkStatus();
  }

  const Lifetime& Of(BufferId id) const { return found_[static_cast<std::size_t>(id)]; }

  const Schedule& schedule_;
  std::vector<Lifetime> found_;
  std::vector<std::int64_t> segment_of_;
  std::int64_t segment_ = 0;
  std::int64_t time_ = 0;
};

/// Places buffers one after another among those placed before.
class Placer {
 public:
  explicit Placer(MemoryPlan& memory) : memory_(memory) {}

  void Place(std::size_t buffer) {
    std::vector<std::size_t> neighbours;
    for (const std::size_t other : placed_) {
      if (memory_.lifetimes[other].Overlaps(memory_.lifetimes[buffer])) {
        neighbours.push_back(other);
      }
    }
    std::sort(neighbours.begin(), neighbours.end(), [&](std::size_t a, std::size_t b) {
      return memory_.offsets[a] < memory_.offsets[b];
    });
    memory_.offsets[buffer] = BestGap(neighbours, RoundUp(memory_.sizes[buffer]));
    memory_.arena_bytes =
        std::max(memory_.arena_bytes, memory_.offsets[buffer] + RoundUp(memory_.sizes[buffer]));
    placed_.push_back(buffer);
  }

 private:
  std::uint64_t BestGap(const std::vector<std::size_t>& neighbours, std::uint64_t size) const {
    std::uint64_t end = 0;
    std::uint64_t best = 0;
    std::uint64_t best_size = 0;
    for (const std::size_t other : neighbours) {
      const std::uint64_t begin = memory_.offsets[other];
      const std::uint64_t gap = begin > end ? begin - end : 0;
      if (gap >= size && (best_size == 0 || gap < best_size)) {
        best = end;
        best_size = gap;
      }
      end = std::max(end, begin + RoundUp(memory_.sizes[other]));
    }
    return best_size == 0 ? end : best;
  }

  MemoryPlan& memory_;
  std::vector<std::size_t> placed_;
};

}  // namespace

std::uint64_t BufferBytes(const Buffer& buffer) {
  const auto rows = static_cast<std::uint64_t>(buffer.rows);
  const auto columns = static_cast<std::uint64_t>(buffer.columns);
  switch (buffer.kind) {
    case BufferKind::kFloat:
      return rows * columns * sizeof(float);
    case BufferKind::kActivations:
      return die::ActivationBytes(rows, columns, static_cast<std::uint64_t>(buffer.group));
    case BufferKind::kAttentionScratch:
      return rows * die::AttentionScratchFloats(columns) * sizeof(float);
  }
  return 0;
}

std::uint64_t KvLayerBytes(const Schedule& schedule) {
  return die::KvLayerBytes(static_cast<std::uint64_t>(schedule.attention.kv_heads),
                           static_cast<std::uint64_t>(schedule.attention.head_size),
                           static_cast<std::uint64_t>(schedule.max_kv));
}

std::uint64_t KvCacheBytes(const Schedule& schedule) {
  return KvLayerBytes(schedule) * static_cast<std::uint64_t>(schedule.shape.layers);
}

Result<std::vector<Lifetime>> LifetimesOf(const Schedule& schedule) {
  return LifetimeFinder(schedule).Find();
}

Result<MemoryPlan> PlanMemory(const Schedule& schedule) {
  MemoryPlan memory;
  TYLLM_ASSIGN(memory.lifetimes, LifetimesOf(schedule));
  for (const Buffer& buffer : schedule.buffers) {
    memory.sizes.push_back(BufferBytes(buffer));
  }
  memory.offsets.resize(memory.sizes.size());
  std::vector<std::size_t> order(memory.sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return memory.sizes[a] > memory.sizes[b]; });
  Placer placer(memory);
  for (const std::size_t buffer : order) {
    placer.Place(buffer);
  }
  TYLLM_TRY(CheckMemoryPlan(schedule, memory));
  return memory;
}

Status CheckMemoryPlan(const Schedule& schedule, const MemoryPlan& memory) {
  TYLLM_ASSIGN(const std::vector<Lifetime> lifetimes, LifetimesOf(schedule));
  if (memory.offsets.size() != schedule.buffers.size()) {
    return Internal("the memory plan has " + std::to_string(memory.offsets.size()) +
                    " places for " + std::to_string(schedule.buffers.size()) + " buffers");
  }
  for (std::size_t a = 0; a < memory.offsets.size(); ++a) {
    const Buffer& buffer = schedule.buffers[a];
    const std::uint64_t begin = memory.offsets[a];
    const std::uint64_t end = begin + BufferBytes(buffer);
    if (begin % kArenaAlignment != 0 || end > memory.arena_bytes) {
      return Internal("buffer " + buffer.name + " lies at " + std::to_string(begin) + ".." +
                      std::to_string(end) + " of an arena of " +
                      std::to_string(memory.arena_bytes) + " bytes");
    }
    for (std::size_t b = 0; b < a; ++b) {
      const std::uint64_t other = memory.offsets[b];
      const bool apart = end <= other || other + BufferBytes(schedule.buffers[b]) <= begin;
      if (!apart && lifetimes[a].Overlaps(lifetimes[b])) {
        return Internal("buffers " + schedule.buffers[b].name + " and " + buffer.name +
                        " share bytes while both are needed");
      }
    }
  }
  return OkStatus();
}

}  // namespace tyllm::plan
