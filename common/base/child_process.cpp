// SPDX-License-Identifier: Apache-2.0
#include "common/base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace tyllm {

namespace {

constexpr std::size_t kOutputKept = 64 << 10;

/// Reads until nobody holds the other end of its input any more, then ends its group and itself.
constexpr const char* kGuard = "trap '' HUP INT QUIT TERM; read -r nothing; kill -s KILL 0";

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }

  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }

  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

class SpawnAttributes {
 public:
  explicit SpawnAttributes(pid_t group) {
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes_, group);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes_, &set);
    for (const int signal : {SIGPIPE, SIGXFSZ, SIGTERM, SIGINT, SIGHUP}) {
      sigaddset(&set, signal);
    }
    posix_spawnattr_setsigdefault(&attributes_, &set);
  }

  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }

  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

std::vector<char*> PointersTo(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(added.begin(), added.end(),
                                      [&](const std::string& a) { return a.starts_with(name); });
    if (!replaced) {
      all.emplace_back(text);
    }
  }
  return all;
}

// A descriptor that is already at its number in the child needs its close-on-exec flag cleared,
// which dup2 onto itself does in posix_spawn (POSIX.1-2024; glibc does it).
void AddDescriptors(const CommandLine& command, SpawnActions& actions) {
  int above = 3;
  for (int standard = 0; standard <= 2; ++standard) {
    const bool named =
        std::any_of(command.descriptors.begin(), command.descriptors.end(),
                    [&](const std::pair<int, int>& d) { return d.second == standard; });
    if (!named) {
      posix_spawn_file_actions_addopen(actions.get(), standard, "/dev/null",
                                       standard == 0 ? O_RDONLY : O_WRONLY, 0);
    }
  }
  for (const auto& [here, there] : command.descriptors) {
    posix_spawn_file_actions_adddup2(actions.get(), here, there);
    above = std::max(above, there + 1);
  }
  // Not every library marks what it opens: a connection that a child holds too never ends.
  posix_spawn_file_actions_addclosefrom_np(actions.get(), above);
}

ExitStatus FromWaitStatus(int status) {
  if (WIFSIGNALED(status)) {
    return {0, WTERMSIG(status)};
  }
  return {WEXITSTATUS(status), 0};
}

void KeepTail(std::string& text) {
  if (text.size() > 2 * kOutputKept) {
    text.erase(0, text.size() - kOutputKept);
  }
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (signal != 0) {
    return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  }
  return "exit code " + std::to_string(code);
}

Result<ChildProcess> ChildProcess::Spawn(const CommandLine& command) {
  if (!command.ends_with_us) {
    return SpawnIn(0, command);
  }
  TYLLM_ASSIGN(Pipe leash, MakePipe());
  const CommandLine guarding{.argv = {"/bin/sh", "-c", kGuard},
                             .descriptors = {{leash.read.get(), 0}}};
  TYLLM_ASSIGN(ChildProcess guard, SpawnIn(0, guarding));
  TYLLM_ASSIGN(ChildProcess child, SpawnIn(guard.pid(), command));
  child.guard_ = std::make_unique<ChildProcess>(std::move(guard));
  child.leash_ = std::move(leash.write);
  return child;
}

Result<ChildProcess> ChildProcess::SpawnIn(pid_t group, const CommandLine& command) {
  TYLLM_CHECK(!command.argv.empty());
  SpawnActions actions;
  SpawnAttributes attributes(group);
  AddDescriptors(command, actions);
  if (!command.directory.empty()) {
    posix_spawn_file_actions_addchdir_np(actions.get(), command.directory.c_str());
  }
  std::vector<std::string> argv = command.argv;
  std::vector<std::string> environment = Environment(command.environment);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0].c_str(), actions.get(), attributes.get(),
                                   PointersTo(argv).data(), PointersTo(environment).data());
  if (error != 0) {
    return FromErrno(error, "starting " + argv[0]);
  }
  const long exit_fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (exit_fd < 0) {
    const int reason = errno;
    ChildProcess doomed(pid, Fd());
    return FromErrno(reason, "watching process " + std::to_string(pid));
  }
  return ChildProcess(pid, Fd(static_cast<int>(exit_fd)));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_fd_(std::move(other.exit_fd_)),
      ended_(other.ended_),
      guard_(std::move(other.guard_)),
      leash_(std::move(other.leash_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(exit_fd_, other.exit_fd_);
  std::swap(ended_, other.ended_);
  std::swap(guard_, other.guard_);
  std::swap(leash_, other.leash_);
  return *this;
}

ChildProcess::~ChildProcess() {
  Reap();
}

void ChildProcess::Reap() {
  if (pid_ < 0 || ended_) {
    return;
  }
  SignalGroup(SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

Result<std::optional<ExitStatus>> ChildProcess::Poll() {
  if (!ended_) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got < 0) {
      return FromErrno(errno, "waiting for process " + std::to_string(pid_));
    }
    if (got == pid_) {
      ended_ = FromWaitStatus(status);
    }
  }
  return ended_;
}

Result<ExitStatus> ChildProcess::Wait(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    TYLLM_ASSIGN(const std::optional<ExitStatus> ended, Poll());
    if (ended) {
      return *ended;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return DeadlineExceeded("process " + std::to_string(pid_) + " still runs");
    }
    pollfd waiting{exit_fd_.get(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
  }
}

void ChildProcess::SignalGroup(int signal) const {
  if (pid_ > 0) {
    ::kill(guard_ ? -guard_->pid() : -pid_, signal);
  }
}

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return FromErrno(errno, "making a pipe");
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<CommandOutcome> RunCommand(const CommandLine& command, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  TYLLM_ASSIGN(Pipe pipe, MakePipe());
  CommandLine with_output = command;
  with_output.descriptors.emplace_back(pipe.write.get(), 1);
  with_output.descriptors.emplace_back(pipe.write.get(), 2);
  TYLLM_ASSIGN(ChildProcess child, ChildProcess::Spawn(with_output));
  pipe.write.Reset();
  CommandOutcome outcome;
  std::array<char, 4096> buffer;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return DeadlineExceeded(command.argv[0] + " took longer than " +
                              std::to_string(limit.count()) + " ms");
    }
    pollfd waiting{pipe.read.get(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (waiting.revents == 0) {
      continue;
    }
    const ssize_t got = ::read(pipe.read.get(), buffer.data(), buffer.size());
    if (got <= 0) {
      break;
    }
    outcome.output.append(buffer.data(), static_cast<std::size_t>(got));
    KeepTail(outcome.output);
  }
  if (outcome.output.size() > kOutputKept) {
    outcome.output.erase(0, outcome.output.size() - kOutputKept);
  }
  TYLLM_ASSIGN(outcome.exit, child.Wait(std::chrono::duration_cast<std::chrono::milliseconds>(
                                 deadline - std::chrono::steady_clock::now())));
  return outcome;
}

}  // namespace tyllm
