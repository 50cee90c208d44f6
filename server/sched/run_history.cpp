// SPDX-License-Identifier: Apache-2.0
#include "server/sched/run_history.h"

#include <algorithm>
#include <vector>

namespace tyllm::server::sched {

namespace {

void Push(std::deque<SeenRun>& runs, const SeenRun& run, std::size_t most) {
  runs.push_back(run);
  if (runs.size() > most) {
    runs.pop_front();
  }
}

std::optional<RunTimes> TimesOf(const std::deque<SeenRun>& runs) {
  std::vector<std::int64_t> times;
  for (const SeenRun& run : runs) {
    if (run.run_ms) {
      times.push_back(*run.run_ms);
    }
  }
  if (times.empty()) {
    return std::nullopt;
  }
  std::ranges::sort(times);
  return RunTimes{times.front(), times[times.size() / 2], times.back()};
}

// Later runs know better: one that succeeded says what is enough, one that did not what is not.
std::int64_t GpuMemoryOf(const std::deque<SeenRun>& runs) {
  std::int64_t most = 0;
  std::int64_t too_small = 0;
  for (const SeenRun& run : runs) {
    most = std::max(most, run.used.gpu_memory_bytes);
    too_small = std::max(too_small, run.gpu_too_small);
    if (run.run_ms && run.used.gpu_memory_bytes > 0 && run.used.gpu_memory_bytes <= too_small) {
      too_small = 0;
    }
  }
  return too_small > 0 ? std::max(most, too_small + 1) : most;
}

std::string TargetOf(const domain::TaskSpec& task) {
  switch (task.kind) {
    case domain::TaskKind::kQuantize:
      return std::string(domain::kQuantizeMethodNames.Name(task.quantize.method)) + " " +
             std::to_string(task.quantize.samples) + "x" + std::to_string(task.quantize.seq_len);
    case domain::TaskKind::kCompileDie:
    case domain::TaskKind::kAssemble:
      return std::string(domain::kCompileTargetNames.Name(task.compile.target)) + " " +
             std::to_string(task.compile.dies);
    case domain::TaskKind::kConvert:
    case domain::TaskKind::kEvaluate:
      break;
  }
  return {};
}

}  // namespace

SizeClass SizeClassOf(const domain::TaskSpec& task) {
  return {task.kind, task.name, TargetOf(task)};
}

void RunHistory::Note(const SizeClass& size, const SeenRun& run) {
  Class& one = classes_[size];
  Push(one.runs, run, kRuns);
  one.noted = ++notes_;
  if (const std::int64_t wanted = GpuMemoryOf(one.runs); wanted > 0) {
    gpu_memory_[size] = wanted;
  } else {
    gpu_memory_.erase(size);
  }
  if (classes_.size() > kClasses) {
    DropOldest();
  }
}

// Seldom, and then many at once.
void RunHistory::DropOldest() {
  std::vector<std::int64_t> noted;
  noted.reserve(classes_.size());
  for (const auto& [size, one] : classes_) {
    noted.push_back(one.noted);
  }
  const auto middle = noted.begin() + static_cast<std::ptrdiff_t>(noted.size() / 2);
  std::ranges::nth_element(noted, middle);
  const std::int64_t kept_from = *middle;
  std::erase_if(classes_, [&](const auto& entry) { return entry.second.noted < kept_from; });
  std::erase_if(gpu_memory_, [&](const auto& entry) { return !classes_.contains(entry.first); });
}

std::optional<RunTimes> RunHistory::TimesOf(const SizeClass& size) const {
  const auto found = classes_.find(size);
  return found == classes_.end() ? std::nullopt : sched::TimesOf(found->second.runs);
}

domain::Resources RunHistory::MostUsed(const SizeClass& size) const {
  domain::Resources most;
  const auto found = classes_.find(size);
  if (found == classes_.end()) {
    return most;
  }
  for (const SeenRun& run : found->second.runs) {
    most.memory_bytes = std::max(most.memory_bytes, run.used.memory_bytes);
    most.disk_bytes = std::max(most.disk_bytes, run.used.disk_bytes);
  }
  most.gpu_memory_bytes = GpuMemoryOf(found->second.runs);
  return most;
}

std::map<SizeClass, std::int64_t> RunHistory::WantMoreThan(std::int64_t gpu_memory_bytes) const {
  std::map<SizeClass, std::int64_t> larger;
  for (const auto& [size, wanted] : gpu_memory_) {
    if (wanted > gpu_memory_bytes) {
      larger[size] = wanted;
    }
  }
  return larger;
}

}  // namespace tyllm::server::sched
