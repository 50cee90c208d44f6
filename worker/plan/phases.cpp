// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/phases.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tyllm::plan {
namespace {

/// "q" of "self_attn.q_proj".
std::string ShortName(std::string_view weight) {
  std::string_view name = weight.substr(weight.rfind('.') + 1);
  constexpr std::string_view kSuffix = "_proj";
  if (name.ends_with(kSuffix)) {
    name.remove_suffix(kSuffix.size());
  }
  return std::string(name);
}

std::string NameOf(const Schedule& schedule, const Step& step, std::int32_t kind) {
  return step.kind == StepKind::kLinear
             ? ShortName(schedule.WeightOf(step.weights.front(), kind).name)
             : std::string(kStepKindNames.Name(step.kind));
}

bool Uses(const Step& step, BufferId buffer) {
  return buffer >= 0 && (step.output == buffer || std::find(step.inputs.begin(), step.inputs.end(),
                                                            buffer) != step.inputs.end());
}

/// Whether the two touch a buffer that one of them writes. What kAddRmsNorm writes besides its
/// output is its first input; kStoreKv and kAttention meet in the KV cache.
bool Depends(const Step& later, const Step& earlier) {
  const auto writes = [](const Step& step) {
    return step.kind == StepKind::kAddRmsNorm
               ? std::vector<BufferId>{step.output, step.inputs.front()}
               : std::vector<BufferId>{step.output};
  };
  for (const BufferId buffer : writes(earlier)) {
    if (Uses(later, buffer)) {
      return true;
    }
  }
  for (const BufferId buffer : writes(later)) {
    if (Uses(earlier, buffer)) {
      return true;
    }
  }
  return later.kind == StepKind::kAttention && earlier.kind == StepKind::kStoreKv;
}

/// Whether parts of `later` and `earlier` that depend on each other are the same parts.
bool SamePhase(const Step& later, const Step& earlier) {
  const PhaseSplit split = SplitOf(later.kind);
  const bool by_place = split == PhaseSplit::kTokens || split == PhaseSplit::kHeads;
  return split == SplitOf(earlier.kind) && (by_place || !Depends(later, earlier));
}

/// A name for the steps together, each name once.
std::string JoinedName(const Schedule& schedule, std::span<const Step> steps, std::int32_t kind) {
  std::vector<std::string> names;
  std::string joined;
  for (const Step& step : steps) {
    std::string name = NameOf(schedule, step, kind);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      joined += (joined.empty() ? "" : "+") + name;
      names.push_back(std::move(name));
    }
  }
  return joined;
}

}  // namespace

PhaseSplit SplitOf(StepKind kind) {
  switch (kind) {
    case StepKind::kZero:
    case StepKind::kEmbed:
    case StepKind::kCopyEmbeddings:
    case StepKind::kCopyRotations:
    case StepKind::kAddDeepstack:
    case StepKind::kRopeTable:
    case StepKind::kAddRmsNorm:
    case StepKind::kQuantize:
    case StepKind::kSiluMul:
      return PhaseSplit::kTokens;
    case StepKind::kLinear:
      return PhaseSplit::kRows;
    case StepKind::kHeadRmsNorm:
    case StepKind::kRope:
    case StepKind::kStoreKv:
      return PhaseSplit::kHeads;
    case StepKind::kAttention:
      return PhaseSplit::kTiles;
  }
  return PhaseSplit::kTokens;
}

std::vector<Step> InPhaseOrder(std::vector<Step> steps) {
  std::vector<std::vector<Step>> phases;
  for (Step& step : steps) {
    std::size_t earliest = 0;
    for (std::size_t p = 0; p < phases.size(); ++p) {
      for (const Step& before : phases[p]) {
        if (Depends(step, before)) {
          earliest = std::max(earliest, SamePhase(step, before) ? p : p + 1);
        }
      }
    }
    while (earliest < phases.size() && !SamePhase(step, phases[earliest].front())) {
      ++earliest;
    }
    if (earliest == phases.size()) {
      phases.emplace_back();
    }
    phases[earliest].push_back(std::move(step));
  }
  std::vector<Step> ordered;
  for (std::vector<Step>& phase : phases) {
    std::move(phase.begin(), phase.end(), std::back_inserter(ordered));
  }
  return ordered;
}

std::vector<std::span<const Step>> CutIntoPhases(std::span<const Step> steps) {
  std::vector<std::span<const Step>> phases;
  std::size_t begin = 0;
  for (std::size_t i = 1; i <= steps.size(); ++i) {
    const std::span<const Step> phase = steps.subspan(begin, i - begin);
    if (i == steps.size() || !std::all_of(phase.begin(), phase.end(), [&](const Step& before) {
          return SamePhase(steps[i], before);
        })) {
      phases.push_back(phase);
      begin = i;
    }
  }
  return phases;
}

std::vector<Phase> PhasesOf(const Schedule& schedule, const SegmentPlan& segment,
                            std::int32_t kind) {
  std::vector<Phase> phases;
  for (const std::span<const Step> steps : CutIntoPhases(segment.steps)) {
    phases.push_back({JoinedName(schedule, steps, kind), SplitOf(steps.front().kind), steps});
  }
  return phases;
}

}  // namespace tyllm::plan
