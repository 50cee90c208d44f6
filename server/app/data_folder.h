// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm::server::app {

/// Where a server keeps everything (docs/formats/data_folder.md), held by one process at a time:
/// the lock goes away with the object, or with the process however it ends.
class DataFolder {
 public:
  /// Creates the folder when it is absent, for its owner alone; of one that is there the rights of
  /// others than owner and group are taken, where that is allowed. kFailedPrecondition when another
  /// server has it.
  static Result<DataFolder> Open(FileSystem& files, const Path& root);

  const Path& root() const { return root_; }

  Path queue() const { return root_ / "queue.db"; }

  Path blobs() const { return root_ / "blobs"; }

  Path logs() const { return root_ / "logs"; }

  Path worker() const { return root_ / "worker"; }

  /// Copies of the queue: before a migration, and for backups until they are moved away.
  Path copies() const { return root_ / "copies"; }

  /// For programs that want to know where this server listens; there while it does.
  Path server_json() const { return root_ / "server.json"; }

 private:
  DataFolder(Path root, Fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  Path root_;
  Fd lock_;
};

}  // namespace tyllm::server::app
