// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "worker/plan/memory_plan.h"
#include "worker/plan/schedule.h"

namespace tyllm::compile {

/// A generated program.
struct GeneratedProgram {
  std::string source;  ///< one C++ unit over worker/die/kernels.h
  std::string digest;  ///< of the source: die::Program::plan_digest
};

/// Tensor of constant_die<d>_<s>.params that tells a die which rows of the vocabulary it has:
/// int32 [2], first row and one past the last. Bound behind the schedule's own weights.
inline constexpr std::string_view kVocabularyRangeName = "shard.vocabulary";

/// Entries of the bindings table of a program: the schedule's weights and the vocabulary range.
inline std::int64_t BindingCount(const plan::Schedule& schedule) {
  return schedule.binding_count() + 1;
}

/// Writes a schedule as C++: every shape a constant, a function a phase of a segment, a loop over
/// layers left to the caller through segment numbers. The text depends only on shapes and places,
/// so dies whose shards have the same shape get the same text, and equal input gives equal bytes.
GeneratedProgram Generate(const plan::Schedule& schedule, const plan::MemoryPlan& memory,
                          std::string_view target_cpu);

}  // namespace tyllm::compile
