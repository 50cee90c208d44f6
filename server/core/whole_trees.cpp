// SPDX-License-Identifier: Apache-2.0
#include "server/core/whole_trees.h"

namespace tyllm::server::core {

namespace {

constexpr std::size_t kMostKept = 1024;

}  // namespace

std::optional<WholeTrees::Size> WholeTrees::Find(const BlobId& tree, Clock::Steady now) const {
  const auto it = found_.find(tree);
  return it == found_.end() || now - it->second.looked >= kTrusted ? std::nullopt
                                                                   : std::optional(it->second.size);
}

void WholeTrees::Note(const BlobId& tree, const Size& size, Clock::Steady looked) {
  if (found_.size() >= kMostKept) {
    found_.clear();  // they are looked at again
  }
  found_[tree] = {size, looked};
}

}  // namespace tyllm::server::core
