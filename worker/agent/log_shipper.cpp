// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/log_shipper.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/base/handle.h"

namespace tyllm::agent {

namespace {

constexpr std::size_t kPieceBytes = 256 << 10;

}  // namespace

LogShipper::LogShipper(FarmLink& link, domain::WorkerSession from, domain::AttemptId attempt,
                       Path log)
    : link_(link), from_(std::move(from)), attempt_(attempt), log_(std::move(log)) {}

Status LogShipper::Ship(const std::stop_token& stop) {
  const Fd fd(::open(log_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return errno == ENOENT ? OkStatus() : FromErrno(errno, "opening " + log_.string());
  }
  while (true) {
    std::string piece(kPieceBytes, '\0');
    const ssize_t got = ::pread(fd.get(), piece.data(), piece.size(), static_cast<off_t>(shipped_));
    if (got < 0) {
      return FromErrno(errno, "reading " + log_.string());
    }
    if (got == 0) {
      return OkStatus();
    }
    piece.resize(static_cast<std::size_t>(got));
    const domain::LogAppend append{attempt_, from_, shipped_, std::move(piece)};
    const Result<std::int64_t> taken = link_.AppendLog(append, stop);
    if (taken.status().code() == StatusCode::kOutOfRange) {
      // The server has less than it had. One that does not say how much passes over what it has.
      shipped_ = std::clamp<std::int64_t>(taken.status().NumberOf("size").value_or(0), 0, shipped_);
    }
    TYLLM_ASSIGN(const std::int64_t size, taken);
    if (size <= shipped_) {
      return Unavailable("the server has not taken the log bytes from " + std::to_string(shipped_));
    }
    shipped_ = size;
  }
}

std::int64_t LogBytes(const Path& log) {
  std::error_code error;
  const auto size = std::filesystem::file_size(log, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace tyllm::agent
