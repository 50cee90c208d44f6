// SPDX-License-Identifier: Apache-2.0
#include "server/app/copy_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>
#include <vector>

#include "common/base/handle.h"

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

bool IsThere(const Path& from, const Path& to) {
  std::error_code error;
  const std::uintmax_t wanted = fs::file_size(from, error);
  const std::uintmax_t found = fs::file_size(to, error);
  return !error && wanted == found;
}

}  // namespace

Result<Copied> CopyFiles(const Path& from, const Path& to) {
  Copied copied;
  std::error_code error;
  if (!fs::exists(from, error)) {
    return copied;
  }
  std::set<Path> folders;
  for (auto it = fs::recursive_directory_iterator(from, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code gone;
    if (!it->is_regular_file(gone)) {
      continue;
    }
    const Path target = to / it->path().lexically_relative(from);
    if (IsThere(it->path(), target)) {
      continue;
    }
    TYLLM_TRY(LocalFileSystem().CreateDirectories(target.parent_path()));
    TYLLM_ASSIGN(const bool there, CopyOne(it->path(), target, copied));
    if (there) {
      folders.insert(target.parent_path());
    }
  }
  if (error) {
    return FromErrno(error.value(), "reading " + from.string());
  }
  for (const Path& folder : folders) {
    TYLLM_TRY(LocalFileSystem().SyncDirectory(folder));
  }
  return copied;
}

}  // namespace tyllm::server::app
