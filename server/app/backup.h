// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/app/copy_files.h"

namespace tyllm::server::app {

struct BackupReport {
  Copied blobs;
  Copied logs;
  bool while_serving = false;
};

/// Brings the backup in the folder `to` up to date with the data folder: the queue as it is now,
/// every blob that it names, and the logs. A server that runs on the data folder makes the copy of
/// the queue itself and goes on serving. Blobs and logs that the backup has are not copied again.
/// The old queue of the backup is replaced last.
Result<BackupReport> Backup(const Path& data, const Path& to);

/// Makes a data folder of a backup; `data` must not be there, or be empty. Ids that were given out
/// after the backup are skipped.
Result<BackupReport> Restore(const Path& from, const Path& data);

}  // namespace tyllm::server::app
