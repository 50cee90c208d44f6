// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/core/farm.h"

namespace tyllm::server::web {

/// Free bytes of the data folder's file system below which the server says that it is not well.
inline constexpr std::uint64_t kLeastFreeBytes = 256U << 20;

/// OK while jobs are accepted: the queue's file takes changes and there is room for blobs and logs.
/// Else what is wrong and what to do. Threads: any.
Status HealthOf(const core::Farm& farm, FileSystem& files, const Path& data);

}  // namespace tyllm::server::web
