// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm::agent {

/// A worker's folder, taken by one process at a time:
///   lock        held while a worker uses the folder
///   attempts/   a folder an attempt, gone with the process
///   trees/      cached input trees
///   objects/    compiled objects
class WorkFolder {
 public:
  /// Creates what is missing and removes what an earlier process left of its attempts: they are
  /// lost with its session. kFailedPrecondition when another process uses the folder.
  static Result<WorkFolder> Open(Path path);

  Path attempts() const { return path_ / "attempts"; }

  Path trees() const { return path_ / "trees"; }

  Path objects() const { return path_ / "objects"; }

 private:
  WorkFolder(Path path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  Path path_;
  Fd lock_;
};

}  // namespace tyllm::agent
