// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm::agent {

/// A worker's folder, taken by one process at a time:
///   lock        held while a worker uses the folder; the number of its process
///   attempts/   a folder an attempt, gone with the process
///   trees/      cached input trees
///   objects/    compiled objects
///   unreturned.json  what an earlier process could not hand back
class WorkFolder {
 public:
  /// Creates what is missing and removes what an earlier process left of its attempts: they are
  /// lost with its session. One that uses the folder may be about to end (its server was killed,
  /// and started again at once): kFailedPrecondition when it still does after `patience`,
  /// kCancelled after a stop.
  static Result<WorkFolder> Open(Path path, Milliseconds patience = Milliseconds(0),
                                 const std::stop_token& stop = {});

  Path attempts() const { return path_ / "attempts"; }

  Path trees() const { return path_ / "trees"; }

  Path objects() const { return path_ / "objects"; }

  Path unreturned() const { return path_ / "unreturned.json"; }

 private:
  WorkFolder(Path path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  Path path_;
  Fd lock_;
};

}  // namespace tyllm::agent
