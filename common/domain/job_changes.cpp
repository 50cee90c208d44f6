// SPDX-License-Identifier: Apache-2.0
#include "common/domain/job_changes.h"

#include "common/base/digest.h"

namespace tyllm::domain {

std::string EtagOf(const JobView& job) {
  constexpr std::size_t kDigits = 16;
  // Every change of state is an event; what changes without one is named besides.
  std::string text = job.id.ToString() + "\n" + std::to_string(job.last_event) + "\n" +
                     std::to_string(job.priority);
  for (const auto& [key, value] : job.labels) {
    text += '\n';
    text += std::to_string(key.size());
    text += key;
    text += value;
  }
  return DigestOf(text).Hex().substr(0, kDigits);
}

std::map<std::string, std::string> LabelsAfter(const UpdateRequest& request,
                                               std::map<std::string, std::string> labels) {
  if (request.replaces_labels) {
    labels.clear();
  }
  for (const auto& [key, value] : request.labels) {
    if (value) {
      labels[key] = *value;
    } else {
      labels.erase(key);
    }
  }
  return labels;
}

}  // namespace tyllm::domain
