// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>

#include "common/base/handle.h"

namespace tyllm::testing {

/// Whether two files of the folder's file system can share blocks.
inline bool CanClone(const std::filesystem::path& folder) {
  const std::filesystem::path from = folder / "clone.from";
  const std::filesystem::path to = folder / "clone.to";
  bool can = false;
  {
    const Fd source(::open(from.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const Fd target(::open(to.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    can = source && target && ::write(source.get(), "x", 1) == 1 &&
          ::ioctl(target.get(), FICLONE, source.get()) == 0;
  }
  std::filesystem::remove(from);
  std::filesystem::remove(to);
  return can;
}

}  // namespace tyllm::testing
