// SPDX-License-Identifier: Apache-2.0
#include "server/sched/reasons.h"

namespace tyllm::server::sched {

std::string TextOf(const Reasons& why, domain::Attempt attempt, const std::string& worker,
                   const LaneKey& lane) {
  return "attempt " + std::to_string(attempt) + " goes to " + worker + ": next of project '" +
         lane.project + "' (" + std::string(domain::kJobClassNames.Name(lane.job_class)) +
         ", priority " + std::to_string(lane.priority) + "), which has had " +
         std::to_string(why.charge) + " device-seconds by its weight; waited " +
         std::to_string(why.waited_ms / 1000) + " s; " + std::to_string(why.inputs_there) + " of " +
         std::to_string(why.inputs) + " inputs are in the worker's cache; " +
         std::to_string(why.others) + " other workers are online" +
         (why.goes_on ? "; goes on from unfinished work" : "");
}

}  // namespace tyllm::server::sched
