// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "worker/agent/kernel_files.h"

namespace tyllm::agent {

/// Memory that jobs may use: the machine's, or less where a control group says so. 0: not known.
std::int64_t MemoryBytes(const KernelRoots& roots = {});

/// CPUs that this process may run on.
std::int32_t Cpus();

/// Memory that a process has used at most, and its descendants use now. 0 when it is gone.
std::int64_t MemoryOfProcess(pid_t process, const KernelRoots& roots = {});

}  // namespace tyllm::agent
