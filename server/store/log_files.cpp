// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include "common/base/handle.h"
#include "common/base/list_folder.h"

namespace tyllm::server::store {

namespace {

constexpr std::size_t kMostKnown = 4096;

}  // namespace

Path LogFiles::PathOf(const domain::AttemptId& id) const {
  return root_ / id.task.ToString() / (std::to_string(id.attempt) + ".log");
}

// The first look at a log that an earlier process may have left unsynced makes it durable.
Result<LogFiles::Known*> LogFiles::Find(const domain::AttemptId& id) {
  if (const auto it = known_.find(id); it != known_.end()) {
    return &it->second;
  }
  TYLLM_ASSIGN(const std::int64_t size, SizeOfFile(id));
  if (size > 0) {
    TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files_.OpenForUpdate(PathOf(id)));
    TYLLM_TRY(file->Sync());
    TYLLM_TRY(file->Close());
    TYLLM_TRY(files_.SyncDirectory(PathOf(id).parent_path()));
    TYLLM_TRY(files_.SyncDirectory(root_));
  }
  if (known_.size() >= kMostKnown) {
    known_.clear();  // they are looked at again
  }
  return &(known_[id] = {size, size == 0});
}

Result<std::int64_t> LogFiles::Append(const domain::AttemptId& id, std::int64_t offset,
                                      std::string_view bytes) {
  TYLLM_ASSIGN(Known* const known, Find(id));
  if (offset < 0 || offset > known->durable) {
    return OutOfRange("log of " + id.ToString() + " has " + std::to_string(known->durable) +
                      " bytes, the append starts at " + std::to_string(offset) + "; send from " +
                      std::to_string(known->durable) + " on")
        .With("size", known->durable);
  }
  // What an earlier process wrote last may be torn: the first append writes over it.
  const std::int64_t skip = known->settled ? known->durable - offset : 0;
  if (skip >= static_cast<std::int64_t>(bytes.size())) {
    return known->durable;
  }
  bytes.remove_prefix(static_cast<std::size_t>(skip));
  TYLLM_TRY(WriteDurably(id, offset + skip, bytes));
  known->settled = true;
  known->durable =
      std::max(known->durable, offset + skip + static_cast<std::int64_t>(bytes.size()));
  return known->durable;
}

Status LogFiles::CreateRoot() {
  if (!root_is_there_) {
    TYLLM_TRY(files_.CreateDirectories(root_));
    TYLLM_TRY(files_.SyncDirectory(root_.parent_path()));
    root_is_there_ = true;
  }
  return OkStatus();
}

Status LogFiles::WriteDurably(const domain::AttemptId& id, std::int64_t offset,
                              std::string_view bytes) {
  const Path path = PathOf(id);
  if (offset == 0) {
    TYLLM_TRY(CreateRoot());
    TYLLM_TRY(files_.CreateDirectories(path.parent_path()));
  }
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files_.OpenForUpdate(path));
  TYLLM_TRY(file->WriteAt(static_cast<std::uint64_t>(offset), std::as_bytes(std::span(bytes))));
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  if (offset == 0) {
    TYLLM_TRY(files_.SyncDirectory(path.parent_path()));
    TYLLM_TRY(files_.SyncDirectory(root_));
  }
  return OkStatus();
}

Result<std::int64_t> LogFiles::Size(const domain::AttemptId& id) {
  TYLLM_ASSIGN(const Known* const known, Find(id));
  return known->durable;
}

Result<std::int64_t> LogFiles::SizeOfFile(const domain::AttemptId& id) const {
  std::error_code error;
  const auto size = std::filesystem::file_size(PathOf(id), error);
  if (error == std::errc::no_such_file_or_directory) {
    return 0;
  }
  if (error) {
    return FromErrno(error.value(), "asking for the size of " + PathOf(id).string());
  }
  return static_cast<std::int64_t>(size);
}

Status LogFiles::Remove(domain::TaskId task) {
  std::erase_if(known_, [&](const auto& entry) { return entry.first.task == task; });
  return files_.RemoveAll(root_ / task.ToString());
}

Result<std::vector<domain::TaskId>> LogFiles::Tasks() const {
  std::vector<domain::TaskId> tasks;
  const Result<std::vector<Path>> found = ListFolder(root_);
  if (found.status().code() == StatusCode::kNotFound) {
    return tasks;  // no attempt has logged anything yet
  }
  TYLLM_TRY(found.status());
  for (const Path& folder : *found) {
    if (const auto task = domain::TaskId::Parse(folder.filename().string()); task.ok()) {
      tasks.push_back(*task);
    }
  }
  return tasks;
}

Result<std::string> LogFiles::Read(const domain::AttemptId& id, std::int64_t offset,
                                   std::int64_t limit) const {
  const Path path = PathOf(id);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return errno == ENOENT ? Result<std::string>(std::string())
                           : Result<std::string>(FromErrno(errno, "opening " + path.string()));
  }
  std::string bytes(static_cast<std::size_t>(limit), '\0');
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n = ::pread(fd.get(), bytes.data() + got, bytes.size() - got,
                              static_cast<off_t>(offset) + static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return FromErrno(errno, "reading " + path.string());
    }
    if (n == 0) {
      break;
    }
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

}  // namespace tyllm::server::store
