// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

// Numbers that the kernel tells in small files (proc(5), cgroups(7)). Threads: any.
namespace tyllm::agent {

/// Where the kernel's files are; tests have their own.
struct KernelRoots {
  Path proc = "/proc";
  Path cgroups = "/sys/fs/cgroup";
};

/// The number after `key` and blanks or a colon at the start of a line ("MemTotal:  123 kB",
/// "oom_kill 4"). An empty key: the file is the number.
std::optional<std::int64_t> NumberIn(const Path& file, std::string_view key);

/// Folders of the control groups that this process is in which know about memory, innermost first
/// up to the root. Version 2 of the interface, or version 1's memory controller.
std::vector<Path> MemoryGroups(const KernelRoots& roots);

}  // namespace tyllm::agent
