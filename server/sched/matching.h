// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/domain/job.h"
#include "common/domain/matching.h"
#include "common/domain/worker_sync.h"

namespace tyllm::server::sched {

/// What a task wants of its worker: its kind is one that the worker takes, and every requirement
/// that is not a preference is met.
struct Needs {
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  std::vector<domain::Requirement> requirements;

  bool operator==(const Needs&) const = default;
};

/// What a task needs whose compiler is not chosen yet, besides one that could be: no worker states
/// it, so that nobody gets the task before.
inline constexpr std::string_view kCompilerToChoose = "compiler";

/// What a worker states of a property (named in proto/tyllm/v1/types.proto), as text; empty:
/// nothing.
std::string PropertyOf(const domain::Capabilities& worker, std::string_view property);

/// Preferences are always met.
bool Meets(const domain::Capabilities& worker, const domain::Requirement& requirement);
bool CanTake(const domain::Capabilities& worker, const Needs& needs);
/// How many of the preferences it meets.
int PreferencesMet(const domain::Capabilities& worker, const Needs& needs);

/// Why none of `workers` can take it: what nobody has, with the best on offer; where every single
/// requirement is met by somebody, what the worker that comes closest has not. Empty when one can,
/// and when there is no worker at all or none of them takes the kind.
std::vector<domain::Shortfall> FindShortfalls(const Needs& needs,
                                              std::span<const domain::Capabilities* const> workers);

/// What a task with these needs is taken to use up while it runs: the minima that it was given.
domain::Resources ResourcesOf(const Needs& needs);
domain::Resources Sum(const domain::Resources& a, const domain::Resources& b);
/// Whether the worker can take it beside tasks that use so much: of its memory and CPUs, and of its
/// GPU's memory if it has one only (of several nobody knows which a task uses). Free disk is as the
/// worker reports it, with what its tasks have written.
bool HasRoom(const domain::Capabilities& worker, const domain::Resources& used, const Needs& needs);

/// What a task needs by itself, and what its job asks for: sorted, without doubles, so that equal
/// needs are equal texts. What makes programs needs its compiler.
Needs NeedsOf(const domain::PlannedTask& task, const std::vector<domain::Requirement>& of_job);
/// Whether a compiler is to be chosen before anybody may get it.
bool AwaitsCompiler(const Needs& needs);
/// With at least this much memory on one GPU.
Needs WithGpuMemory(Needs needs, std::int64_t bytes);

}  // namespace tyllm::server::sched
