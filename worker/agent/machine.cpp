// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/machine.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

namespace tyllm::agent {

namespace {

constexpr std::int64_t kKiB = 1024;
constexpr int kDeepest = 8;  // of processes that start others

std::int64_t OfTree(pid_t process, const KernelRoots& roots, const char* key, int depth) {
  const Path folder = roots.proc / std::to_string(process);
  std::int64_t bytes = NumberIn(folder / "status", key).value_or(0) * kKiB;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator(folder / "task", error)) {
    std::ifstream children(thread.path() / "children");
    for (pid_t child = 0; depth > 0 && children >> child;) {
      bytes += OfTree(child, roots, "VmRSS", depth - 1);
    }
  }
  return bytes;
}

}  // namespace

std::int64_t MemoryBytes(const KernelRoots& roots) {
  std::int64_t bytes = NumberIn(roots.proc / "meminfo", "MemTotal").value_or(0) * kKiB;
  for (const Path& group : MemoryGroups(roots)) {
    for (const char* const name : {"memory.max", "memory.limit_in_bytes"}) {
      // "max" is no number; version 1 says a number near 2^63 for no limit.
      if (const auto limit = NumberIn(group / name, "")) {
        bytes = bytes == 0 ? *limit : std::min(bytes, *limit);
      }
    }
  }
  return bytes;
}

std::int32_t Cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    return CPU_COUNT(&set);
  }
  return static_cast<std::int32_t>(std::thread::hardware_concurrency());
}

std::int64_t MemoryOfProcess(pid_t process, const KernelRoots& roots) {
  return OfTree(process, roots, "VmHWM", kDeepest);
}

}  // namespace tyllm::agent
