// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/result.h"

namespace tyllm::compile {

/// Collects what is wrong, so that the user mends it all at once.
class Problems {
 public:
  /// Whether `status` is fine.
  bool Add(const Status& status);
  void Add(const std::vector<Status>& statuses);

  /// The value, or nothing and a problem more.
  template <typename T>
  std::optional<T> Take(Result<T> result) {
    return Add(result.status()) ? std::optional<T>(*std::move(result)) : std::nullopt;
  }

  bool none() const { return all_.empty(); }

  /// One problem as it is, several as a list, with the code and the facts of the first that no
  /// other machine would be spared.
  Status ToStatus(const Path& model) const;

 private:
  std::vector<Status> all_;
};

}  // namespace tyllm::compile
