// SPDX-License-Identifier: Apache-2.0
#include "server/app/compact.h"

#include "server/app/data_folder.h"

namespace tyllm::server::app {

namespace {

// With what SQLite keeps beside a file.
Status RemoveDatabase(FileSystem& files, const Path& file) {
  for (const char* const ending : {"", "-wal", "-shm", "-journal", "-owner"}) {
    Path path = file;
    path += ending;
    TYLLM_TRY(files.RemoveAll(path));
  }
  return OkStatus();
}

}  // namespace

Result<store::CompactSizes> Compact(FileSystem& files, const Path& data) {
  std::error_code error;
  if (!std::filesystem::exists(data / "queue.db", error)) {
    return NotFound(data.string() + " has no queue.db; give the server's data folder as --data");
  }
  TYLLM_ASSIGN(const DataFolder folder, DataFolder::Open(files, data));
  TYLLM_TRY(files.CreateDirectories(folder.copies()));
  const Path copy = folder.copies() / "queue-compact.db";
  TYLLM_TRY(RemoveDatabase(files, copy));  // of one that was killed
  auto sizes = store::CopyCompactly(files, folder.queue(), copy);
  if (!sizes.ok() || sizes->after >= sizes->before) {
    (void)RemoveDatabase(files, copy);  // what cannot be removed now goes with the next one
    return sizes;
  }
  TYLLM_TRY(files.Rename(copy, folder.queue()));
  (void)RemoveDatabase(files, copy);
  TYLLM_TRY(files.SyncDirectory(folder.root())
                .Annotate("the queue was compacted, but a power cut may bring the old file back"));
  return sizes;
}

}  // namespace tyllm::server::app
