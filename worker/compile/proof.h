// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "worker/compile/preparation.h"
#include "worker/simulator/verify.h"

namespace tyllm::compile {

/// Runs the complete directory `root`, an unfinished folder still, on the simulator and adds the
/// report to it; nothing where this machine has not the target CPU. Errors are those of NotProven.
Result<std::optional<simulator::VerifyReport>> Prove(FileSystem& files,
                                                     const Preparation& preparation,
                                                     const Path& root,
                                                     domain::ProgressSink& progress);

/// What becomes of `root` when the run failed for `why`, and what is said of it. A result that is
/// wrong (kDataLoss) is not worth resuming and is removed; one that could not be run here (memory,
/// a folder whose programs may not be loaded) is kept.
Status NotProven(FileSystem& files, const Path& root, const Status& why);

}  // namespace tyllm::compile
