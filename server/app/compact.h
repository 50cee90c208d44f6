// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "server/store/compact_copy.h"

namespace tyllm::server::app {

/// Gives the disk what the queue's file no longer needs, of a data folder that no server runs on:
/// it is copied without free pages, checked, synced and given the file's name in one step, so that
/// a queue that works is there at every moment. Where nothing is gained it stays as it is
/// (`after` is not less than `before`).
Result<store::CompactSizes> Compact(FileSystem& files, const Path& data);

}  // namespace tyllm::server::app
