// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/base/result.h"
#include "tests/bench/measured_server.h"

namespace tyllm::bench {

/// A tree of files of random bytes.
struct TreeLoad {
  std::int64_t files = 0;
  std::int64_t bytes = 0;  ///< of each
};

struct TreeTimes {
  double up_seconds = 0;
  double down_seconds = 0;
};

/// Makes new files under `folder`, sends them as a tree and fetches it, as clients and workers do.
Result<TreeTimes> MoveTree(const MeasuredServer& server, const std::filesystem::path& folder,
                           const TreeLoad& load);
/// The same as it was before files crossed together: one after the other, with two calls up, one
/// down and a sync each.
Result<TreeTimes> MoveTreeOneByOne(const MeasuredServer& server,
                                   const std::filesystem::path& folder, const TreeLoad& load);

}  // namespace tyllm::bench
