// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worker/plan/schedule.h"

namespace tyllm::plan {

/// By what threads of one die share a phase's work (docs/adr/0033-phases-and-parts.md).
enum class PhaseSplit : std::uint8_t {
  kTokens,
  kRows,   ///< row blocks of the weights: columns of the output
  kHeads,  ///< query heads, and KV heads
  kTiles,  ///< queries of attention, a few at a time
};

/// Steps of a segment that follow one another without waiting: a part of each reads only what the
/// same part of those before wrote. Between phases all parts of a die wait for each other.
struct Phase {
  std::string name;  ///< "add_rms_norm+quantize", "q+k+v", "lm_head"
  PhaseSplit split = PhaseSplit::kTokens;
  std::span<const Step> steps;  ///< of the segment
};

PhaseSplit SplitOf(StepKind kind);

/// The steps in an order that gives few phases, and the same results: those that wait for the same
/// things stand together (q, k and v; then their norms).
std::vector<Step> InPhaseOrder(std::vector<Step> steps);

/// Cuts steps into phases without moving any.
std::vector<std::span<const Step>> CutIntoPhases(std::span<const Step> steps);

/// The phases of a segment (its own, or of a layer of kind `kind`) in order. Spans live as long as
/// the segment.
std::vector<Phase> PhasesOf(const Schedule& schedule, const SegmentPlan& segment,
                            std::int32_t kind);

}  // namespace tyllm::plan
