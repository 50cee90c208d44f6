// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_order.h"
#include "worker/compile/vendor/vendor.h"

namespace tyllm::jobs {

/// Files that came with the program and stand in for inputs that an order does not name.
struct BuiltInTexts {
  Path calibration;  ///< of the set that the order names
  Path evaluation;
};

/// What a task did.
struct TaskReport {
  std::string text;  ///< for its log
  std::string
      violations;  ///< conditions of the order that hold of the result; empty when none does
  std::int64_t gpu_memory_bytes = 0;  ///< the most that it used; 0: none, or not known
};

/// Does what an order says, with the code that the commands of `tyllm` use, and leaves order.output
/// complete or not at all. A missing input is kInvalidArgument naming it.
Result<TaskReport> RunTask(const domain::TaskOrder& order, const BuiltInTexts& texts,
                           FileSystem& files, const Clock& clock, domain::ProgressSink& progress,
                           const compile::VendorSettings& vendor = {});

}  // namespace tyllm::jobs
