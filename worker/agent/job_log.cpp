// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/job_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tyllm::agent {

namespace {

constexpr std::size_t kTailBytes = 1536;

}  // namespace

Result<JobLog> JobLog::Open(Path path, std::int64_t limit) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) {
    return FromErrno(errno, "opening " + path.string());
  }
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  return JobLog(std::move(path), std::move(fd), limit, size);
}

void JobLog::Add(std::string_view text) {
  const std::int64_t room = left_out_ > 0 ? 0 : std::max<std::int64_t>(0, limit_ - size_);
  const std::size_t fits = std::min(text.size(), static_cast<std::size_t>(room));
  Write(text.substr(0, fits));
  LeaveOut(text.substr(fits));
}

void JobLog::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      LeaveOut(text);
      return;
    }
    size_ += written;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void JobLog::LeaveOut(std::string_view text) {
  if (text.empty()) {
    return;
  }
  const bool first = left_out_ == 0;
  left_out_ += static_cast<std::int64_t>(text.size());
  tail_ += text;
  if (tail_.size() > 2 * kTailBytes) {
    tail_.erase(0, tail_.size() - kTailBytes);
  }
  if (first) {
    Write("\n[tyllm-worker: the log has " + std::to_string(size_) +
          " bytes (job_log_bytes); what follows is left out]\n");
  }
}

void JobLog::Finish() {
  if (left_out_ == 0) {
    return;
  }
  const std::string tail = tail_.substr(tail_.size() - std::min(tail_.size(), kTailBytes));
  Write("[tyllm-worker: " + std::to_string(left_out_) +
        " bytes were left out; the last of them:]\n" + tail);
}

}  // namespace tyllm::agent
