// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm {

/// How a process ended: by itself with `code`, or by `signal`.
struct ExitStatus {
  int code = 0;
  int signal = 0;  ///< 0 when it ended by itself

  bool ok() const { return code == 0 && signal == 0; }

  /// "exit code 3", "signal 9 (Killed)".
  std::string ToString() const;
};

/// A program to start.
struct CommandLine {
  std::vector<std::string> argv;         ///< argv[0] is a path, or a name looked up in PATH
  std::vector<std::string> environment;  ///< "NAME=value", added to this process's own
  Path directory;                        ///< empty: this process's own
  /// (descriptor here, number in the child). 0, 1 and 2 that are not named are /dev/null.
  std::vector<std::pair<int, int>> descriptors;
  /// Not even SIGKILL for this process leaves the child or anything of its group behind. Takes a
  /// second process, /bin/sh, that waits for it.
  bool ends_with_us = false;
};

/// A child in a process group of its own. Destroying it before it has ended, or where it was to end
/// with this process, kills the group; it reaps the child.
class ChildProcess {
 public:
  static Result<ChildProcess> Spawn(const CommandLine& command);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }

  /// Readable (poll) once the child has ended: pidfd_open(2).
  int exit_fd() const { return exit_fd_.get(); }

  /// Nothing while it runs.
  Result<std::optional<ExitStatus>> Poll();
  /// Waits at most `limit`; kDeadlineExceeded when it still runs then.
  Result<ExitStatus> Wait(std::chrono::milliseconds limit);
  /// Sends `signal` to the whole group; no error when it has ended.
  void SignalGroup(int signal) const;

 private:
  ChildProcess(pid_t pid, Fd exit_fd) : pid_(pid), exit_fd_(std::move(exit_fd)) {}

  /// In a process group that there is, or in one of its own (0).
  static Result<ChildProcess> SpawnIn(pid_t group, const CommandLine& command);

  void Reap();

  pid_t pid_ = -1;
  Fd exit_fd_;
  std::optional<ExitStatus> ended_;
  /// Of a child that ends with this process: the first of its group, and what nobody else holds.
  std::unique_ptr<ChildProcess> guard_;
  Fd leash_;
};

/// What a finished program left: how it ended and the last 64 KiB of its output and errors
/// together.
struct CommandOutcome {
  ExitStatus exit;
  std::string output;
};

/// Runs a program to its end with no input. On `limit` its group is killed: kDeadlineExceeded.
Result<CommandOutcome> RunCommand(const CommandLine& command, std::chrono::milliseconds limit);

struct Pipe {
  Fd read;
  Fd write;
};

/// Both ends close on exec.
Result<Pipe> MakePipe();

}  // namespace tyllm
