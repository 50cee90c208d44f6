// SPDX-License-Identifier: Apache-2.0
#include "common/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace tyllm {

Result<RegularFile> OpenRegularFile(const Path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    return FromErrno(errno, "opening " + path.string());
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) {
    return FromErrno(errno, "asking for the size of " + path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return FailedPrecondition(path.string() +
                              " is a folder, pipe or device, expected a regular file; put one "
                              "there");
  }
  return RegularFile{std::move(fd), static_cast<std::size_t>(info.st_size)};
}

}  // namespace tyllm
