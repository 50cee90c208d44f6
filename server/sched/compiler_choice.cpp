// SPDX-License-Identifier: Apache-2.0
#include "server/sched/compiler_choice.h"

#include <algorithm>
#include <map>

#include "common/domain/tools.h"

namespace tyllm::server::sched {

const domain::PlannedTask* FirstCompilation(const domain::JobPlan& plan) {
  const auto found = std::ranges::find_if(
      plan.tasks, [](const domain::PlannedTask& task) { return domain::RunsCompiler(task.spec); });
  return found == plan.tasks.end() ? nullptr : &*found;
}

std::string ChooseCompiler(const domain::PlannedTask& task,
                           const std::vector<domain::Requirement>& of_job,
                           std::span<const domain::Capabilities* const> workers,
                           std::string_view rather) {
  const std::string tool(domain::CompilerTool(task.spec.compile));
  domain::PlannedTask with = task;
  std::map<std::string, int> counts;
  for (const domain::Capabilities* const worker : workers) {
    const auto has = worker->tools.find(tool);
    if (has == worker->tools.end() || has->second.empty()) {
      continue;
    }
    with.spec.compiler = has->second;
    if (CanTake(*worker, NeedsOf(with, of_job))) {
      ++counts[has->second];
    }
  }
  if (counts.contains(std::string(rather))) {
    return std::string(rather);
  }
  const auto most = std::ranges::max_element(
      counts, [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

}  // namespace tyllm::server::sched
