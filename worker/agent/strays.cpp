// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/strays.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <sstream>
#include <vector>

#include "common/base/list_folder.h"

namespace tyllm::agent {

namespace {

std::optional<pid_t> PidOf(const Path& folder) {
  const std::string name = folder.filename().string();
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(pid)
                                                                  : std::nullopt;
}

// "<pid> (<name>) <state> <parent> ...", where the name may hold anything.
bool IsOwnChild(const Path& folder) {
  const auto text = LocalFileSystem().Read(folder / "stat");
  if (!text.ok() || text->rfind(')') == std::string::npos) {
    return false;
  }
  std::istringstream rest(text->substr(text->rfind(')') + 1));
  char state = 0;
  pid_t parent = 0;
  return rest >> state >> parent && parent == ::getpid();
}

bool IsOf(const Path& folder, const std::string& job) {
  const auto text = LocalFileSystem().Read(folder / "environ");
  if (!text.ok()) {
    return false;
  }
  std::string variable = std::string(1, '\0') + kJobVariable + "=" + job;
  variable += '\0';
  return ('\0' + *text).find(variable) != std::string::npos;
}

std::vector<pid_t> StraysOf(const std::string& job) {
  std::vector<pid_t> strays;
  const auto processes = ListFolder("/proc");
  if (!processes.ok()) {
    return strays;
  }
  for (const Path& folder : *processes) {
    const std::optional<pid_t> pid = PidOf(folder);
    if (pid && IsOwnChild(folder) && IsOf(folder, job)) {
      strays.push_back(*pid);
    }
  }
  return strays;
}

}  // namespace

void AdoptStrays() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void EndStrays(const std::string& job) {
  // Each round ends processes, and only a process that is left can start another.
  for (std::vector<pid_t> strays = StraysOf(job); !strays.empty(); strays = StraysOf(job)) {
    for (const pid_t stray : strays) {
      ::kill(stray, SIGKILL);
      while (::waitpid(stray, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
}

void ReapStrays() {
  while (::waitpid(-1, nullptr, WNOHANG | __WNOTHREAD) > 0) {
  }
}

}  // namespace tyllm::agent
