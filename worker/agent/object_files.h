// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/file_system.h"

namespace tyllm::agent {

/// The compiled objects that jobs leave for later ones (worker/compile/object_cache.h): removes the
/// longest unused until they have at most `limit` bytes, and says how many they have. Threads and
/// processes: any; a job that looks for one meanwhile finds it whole or not at all, and has what it
/// found in memory.
std::int64_t PruneObjects(const Path& folder, std::int64_t limit);

}  // namespace tyllm::agent
