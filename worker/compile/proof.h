// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "worker/simulator/verify.h"

namespace tyllm::compile {

/// Runs the complete directory `root`, an unfinished folder still, on the simulator and adds the
/// report to it. Where this machine has not the target CPU its schedules are interpreted, and the
/// report says so. Errors are those of NotProven.
Result<simulator::VerifyReport> Prove(FileSystem& files, const Path& root,
                                      domain::ProgressSink& progress);

/// What becomes of `root` when the run failed for `why`, and what is said of it. A result that is
/// wrong (kDataLoss) is not worth resuming and is removed; one that could not be run here (memory,
/// a folder whose programs may not be loaded) is kept.
Status NotProven(FileSystem& files, const Path& root, const Status& why);

}  // namespace tyllm::compile
