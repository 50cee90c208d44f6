// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/sched/matching.h"

// Which compiler makes the programs of a job: docs/adr/0153-one-compiler-a-job.md.
namespace tyllm::server::sched {

/// The plan's first task that makes programs; null: none does.
const domain::PlannedTask* FirstCompilation(const domain::JobPlan& plan);

/// What the tool of `task` is on most of the workers that could take the task with theirs; `rather`
/// where it is that of any. Of as many the first as texts go. Empty: nobody could.
std::string ChooseCompiler(const domain::PlannedTask& task,
                           const std::vector<domain::Requirement>& of_job,
                           std::span<const domain::Capabilities* const> workers,
                           std::string_view rather = {});

}  // namespace tyllm::server::sched
