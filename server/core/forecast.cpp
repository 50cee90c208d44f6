// SPDX-License-Identifier: Apache-2.0
#include "server/core/forecast.h"

#include <algorithm>
#include <map>

namespace tyllm::server::core {

std::int64_t LongestPath(const domain::JobPlan& plan,
                         const std::function<std::int64_t(const std::string&)>& left) {
  std::map<std::string, std::int64_t> ends;
  std::int64_t last = 0;
  for (const domain::PlannedTask& task : plan.tasks) {  // in an order in which they can run
    const std::int64_t takes = left(task.label);
    if (takes < 0) {
      return -1;
    }
    std::int64_t begins = 0;
    for (const domain::TaskInput& input : task.inputs) {
      begins = std::max(begins, input.from.empty() ? 0 : ends[input.from]);
    }
    ends[task.label] = begins + takes;
    last = std::max(last, begins + takes);
  }
  return last;
}

}  // namespace tyllm::server::core
