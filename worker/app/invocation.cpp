// SPDX-License-Identifier: Apache-2.0
#include "worker/app/invocation.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "worker/jobs/progress_writer.h"

namespace tyllm::app {

std::vector<cli::Option> Invocation::GlobalOptions() {
  return {{"--progress-fd", "N", "write progress to this open descriptor, one JSON object a line",
           cli::Choice{"N", "", [this](std::string_view text) { return UseProgressFd(text); }}}};
}

Status Invocation::UseProgressFd(std::string_view text) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc() || end != text.data() + text.size() || fd < 0) {
    return InvalidArgument("'" + std::string(text) +
                           "' is no descriptor number, expected 0 or more");
  }
  // Programs that we start (compilers) must not hold the pipe open.
  const int flags = ::fcntl(fd, F_GETFL);  // NOLINT(cppcoreguidelines-pro-type-vararg)
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
    return InvalidArgument("descriptor " + std::to_string(fd) +
                           " is not open for writing; open it before starting the program, as in " +
                           std::to_string(fd) + ">progress.jsonl");
  }
  if (fd > STDERR_FILENO) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // NOLINT(cppcoreguidelines-pro-type-vararg)
  }
  progress_fd_ = fd;
  return OkStatus();
}

std::unique_ptr<domain::ProgressSink> Invocation::OpenProgress() const {
  using jobs::ProgressStyle;
  if (progress_fd_ >= 0) {
    return std::make_unique<jobs::ProgressWriter>(progress_fd_, ProgressStyle::kJsonLines, clock_);
  }
  const bool watched = ::isatty(STDERR_FILENO) == 1;
  return std::make_unique<jobs::ProgressWriter>(
      STDERR_FILENO, watched ? ProgressStyle::kTerminalLine : ProgressStyle::kPlainLines, clock_);
}

Fd Invocation::ProgressPipe() const {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg)
  return progress_fd_ < 0 ? Fd() : Fd(::fcntl(progress_fd_, F_DUPFD_CLOEXEC, 0));
}

}  // namespace tyllm::app
