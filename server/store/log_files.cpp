// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/base/handle.h"

namespace tyllm::server::store {

Path LogFiles::PathOf(const domain::AttemptId& id) const {
  return root_ / id.task.ToString() / (std::to_string(id.attempt) + ".log");
}

Result<std::int64_t> LogFiles::Append(const domain::AttemptId& id, std::int64_t offset,
                                      std::string_view bytes) {
  TYLLM_ASSIGN(const std::int64_t size, Size(id));
  if (offset < 0 || offset > size) {
    return OutOfRange("log of " + id.ToString() + " has " + std::to_string(size) +
                      " bytes, the append starts at " + std::to_string(offset) + "; send from " +
                      std::to_string(size) + " on");
  }
  const auto known = static_cast<std::size_t>(size - offset);
  if (known >= bytes.size()) {
    return size;
  }
  const Path path = PathOf(id);
  if (size == 0) {
    TYLLM_TRY(files_.CreateDirectories(path.parent_path()));
  }
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files_.OpenForUpdate(path));
  TYLLM_TRY(file->Append(bytes.substr(known)));
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  if (size == 0) {
    TYLLM_TRY(files_.SyncDirectory(path.parent_path()));
    TYLLM_TRY(files_.SyncDirectory(root_));
  }
  return offset + static_cast<std::int64_t>(bytes.size());
}

Result<std::int64_t> LogFiles::Size(const domain::AttemptId& id) const {
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
