// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/problems.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tyllm::compile {

bool Problems::Add(const Status& status) {
  if (!status.ok()) {
    all_.push_back(status);
  }
  return status.ok();
}

void Problems::Add(const std::vector<Status>& statuses) {
  for (const Status& status : statuses) {
    Add(status);
  }
}

Status Problems::ToStatus(const Path& model) const {
  if (all_.empty()) {
    return OkStatus();
  }
  if (all_.size() == 1) {
    return all_.front();
  }
  std::string text =
      "cannot compile " + model.string() + ", " + std::to_string(all_.size()) + " problems:";
  for (const Status& problem : all_) {
    text += "\n- " + problem.message();
  }
  const auto stays = std::ranges::find_if(
      all_, [](const Status& status) { return status.code() != StatusCode::kUnavailable; });
  const Status& first = stays == all_.end() ? all_.front() : *stays;
  Status all(first.code(), std::move(text));
  for (const auto& [name, value] : first.facts()) {
    all = all.With(name, value);
  }
  return all;
}

}  // namespace tyllm::compile
