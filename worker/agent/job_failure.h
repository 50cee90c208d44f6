// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/domain/failure.h"
#include "worker/agent/child_job.h"

namespace tyllm::agent {

/// What an end without success means: whose fault it is, whether another try may help and what to
/// do, with the last lines of the log. Exit codes are those of cli::ExitCode; a SIGKILL is put down
/// to memory only where the kernel's counters say so.
domain::Failure FailureOf(const ChildEnd& end, const Path& log);

}  // namespace tyllm::agent
