// SPDX-License-Identifier: Apache-2.0
#include "server/app/copy_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>
#include <vector>

#include "common/base/handle.h"
#include "common/base/list_folder.h"

namespace tyllm::server::app {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1 << 20;

// False when the file has gone.
Result<bool> CopyOne(const Path& from, const Path& to, Copied& copied) {
  const Fd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source) {
    return errno == ENOENT ? Result<bool>(false)
                           : Result<bool>(FromErrno(errno, "opening " + from.string()));
  }
  Path incoming = to;
  incoming += ".incoming";
  TYLLM_ASSIGN(const auto file, LocalFileSystem().Create(incoming));
  std::vector<std::byte> piece(kPiece);
  while (true) {
    const ssize_t got = ::read(source.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return FromErrno(errno, "reading " + from.string());
    }
    if (got == 0) {
      break;
    }
    TYLLM_TRY(file->Append(std::span(piece).first(static_cast<std::size_t>(got))));
    copied.bytes += static_cast<std::uint64_t>(got);
  }
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  TYLLM_TRY(LocalFileSystem().Rename(incoming, to));
  ++copied.files;
  return true;
}

struct Walk {
  Copied copied;
  std::set<Path> written;  ///< folders
};

bool IsThere(const Path& from, const Path& to) {
  std::error_code error;
  const std::uintmax_t wanted = fs::file_size(from, error);
  const std::uintmax_t found = fs::file_size(to, error);
  return !error && wanted == found;
}

// What is deleted while this looks at it is passed over, folders too.
Status CopyFolder(const Path& from, const Path& to, Walk& walk) {
  const Result<std::vector<Path>> found = ListFolder(from);
  if (found.status().code() == StatusCode::kNotFound) {
    return OkStatus();
  }
  TYLLM_TRY(found.status());
  for (const Path& path : *found) {
    std::error_code gone;
    const Path target = to / path.filename();
    if (fs::is_directory(fs::symlink_status(path, gone))) {
      TYLLM_TRY(CopyFolder(path, target, walk));
    } else if (fs::is_regular_file(path, gone) && !IsThere(path, target)) {
      TYLLM_TRY(LocalFileSystem().CreateDirectories(to));
      TYLLM_ASSIGN(const bool there, CopyOne(path, target, walk.copied));
      if (there) {
        walk.written.insert(to);
      }
    }
  }
  return OkStatus();
}

}  // namespace

Result<Copied> CopyFiles(const Path& from, const Path& to) {
  Walk walk;
  TYLLM_TRY(CopyFolder(from, to, walk));
  for (const Path& folder : walk.written) {
    TYLLM_TRY(LocalFileSystem().SyncDirectory(folder));
  }
  return walk.copied;
}

}  // namespace tyllm::server::app
