// SPDX-License-Identifier: Apache-2.0
#include "server/blobs/file_range.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tyllm::server::blobs {

Result<FileRange> FileRange::Open(const Path& path, std::uint64_t offset, std::uint64_t end) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return FromErrno(errno, "opening " + path.string());
  }
  return FileRange(std::move(fd), path, offset, end);
}

Result<std::size_t> FileRange::Read(std::span<std::byte> buffer) {
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end_ - offset_));
  if (wanted == 0) {
    return std::size_t{0};
  }
  while (true) {
    const ssize_t got = ::pread(fd_.get(), buffer.data(), wanted, static_cast<off_t>(offset_));
    if (got > 0) {
      offset_ += static_cast<std::uint64_t>(got);
      return static_cast<std::size_t>(got);
    }
    if (got == 0) {
      return DataLoss(path_.string() + " ends at byte " + std::to_string(offset_) + ", expected " +
                      std::to_string(end_) + " bytes");
    }
    if (errno != EINTR) {
      return FromErrno(errno, "reading " + path_.string());
    }
  }
}

bool FileRange::IsAt(const Path& path) const {
  struct stat open{};
  struct stat named{};
  return ::fstat(fd_.get(), &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

}  // namespace tyllm::server::blobs
