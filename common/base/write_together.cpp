// SPDX-License-Identifier: Apache-2.0
#include "common/base/write_together.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "common/base/handle.h"

namespace tyllm {

namespace {

/// Files that are open at one time. An error of the disk is told to those who had the file open
/// before, so that each stays open until its sync.
constexpr std::size_t kOpenFiles = 64;

// Bytes that have no place on the disk yet get one when their writing begins; if each file's began
// in its own sync, each would write the file system's log anew. A hint: what fails fails in Sync.
void BeginWriting(const Path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd) {
    (void)::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  }
}

Result<std::unique_ptr<OutputFile>> Write(FileSystem& files, const SmallFile& small) {
  TYLLM_ASSIGN(std::unique_ptr<OutputFile> file, files.Create(small.path));
  TYLLM_TRY(file->Append(small.content));
  BeginWriting(small.path);
  return file;
}

Status SyncAndClose(OutputFile& file) {
  TYLLM_TRY(file.Sync());
  return file.Close();
}

}  // namespace

std::vector<Status> WriteTogether(FileSystem& files, std::span<const SmallFile> small) {
  std::vector<Status> ended;
  while (!small.empty()) {
    const auto group = small.first(std::min(small.size(), kOpenFiles));
    small = small.subspan(group.size());
    std::vector<Result<std::unique_ptr<OutputFile>>> open;
    for (const SmallFile& one : group) {
      open.push_back(Write(files, one));
    }
    for (const auto& file : open) {
      ended.push_back(file.ok() ? SyncAndClose(**file) : file.status());
    }
  }
  return ended;
}

}  // namespace tyllm
