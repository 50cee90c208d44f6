// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm {

/// An advisory lock that is an empty file while somebody holds it: among processes, and among
/// threads of one. The file goes away with this object; what a killed process left of it is no
/// lock. Programs that are started meanwhile do not get it. File systems that know no locks go
/// without.
class LockFile {
 public:
  /// Nothing while another holds it; kAlreadyExists where a file with content has the name. The
  /// folder it lies in must be there.
  static Result<std::optional<LockFile>> Try(const Path& path);

  LockFile(LockFile&& other) noexcept = default;
  LockFile& operator=(LockFile&& other) = delete;
  ~LockFile();

 private:
  LockFile(Path path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Path path_;
  Fd fd_;
};

}  // namespace tyllm
