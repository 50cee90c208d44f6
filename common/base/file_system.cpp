// SPDX-License-Identifier: Apache-2.0
#include "common/base/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "common/base/handle.h"
#include "common/base/regular_file.h"

namespace tyllm {

namespace {

namespace fs = std::filesystem;

Status FromErrorCode(const std::error_code& error, std::string_view what, const Path& path) {
  return FromErrno(error.value(), std::string(what) + " " + path.string());
}

class LocalOutputFile final : public OutputFile {
 public:
  LocalOutputFile(Path path, Fd fd, std::uint64_t end)
      : path_(std::move(path)), fd_(std::move(fd)), end_(end) {}

  Status Append(std::span<const std::byte> bytes) override {
    TYLLM_TRY(WriteAt(end_, bytes));
    return OkStatus();
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
    waiting_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0) {
        if (errno == EINTR) {
          continue;
        }
        return FromErrno(errno, "writing " + path_.string());
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    end_ = std::max(end_, offset);
    if (waiting_ >= kWriteBehind) {
      // The disk works while more is computed, so that Sync finds little to do. A hint: what fails
      // fails in Sync.
      (void)::sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
      waiting_ = 0;
    }
    return OkStatus();
  }

  Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) {
      return FromErrno(errno, "syncing " + path_.string());
    }
    return OkStatus();
  }

  Status Close() override {
    const int fd = fd_.Release();
    if (fd >= 0 && ::close(fd) != 0) {
      return FromErrno(errno, "closing " + path_.string());
    }
    return OkStatus();
  }

 private:
  static constexpr std::uint64_t kWriteBehind = std::uint64_t{16} << 20;

  Path path_;
  Fd fd_;
  std::uint64_t end_;
  std::uint64_t waiting_ = 0;  ///< bytes that nobody has asked the disk to take
};

class LocalFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<OutputFile>> Create(const Path& path) override {
    return Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  }

  Result<std::unique_ptr<OutputFile>> CreateNew(const Path& path) override {
    return Open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  }

  Result<std::unique_ptr<OutputFile>> OpenForUpdate(const Path& path) override {
    return Open(path, O_WRONLY | O_CREAT | O_CLOEXEC);
  }

  Result<std::string> Read(const Path& path) override {
    TYLLM_ASSIGN(const RegularFile file, OpenRegularFile(path));
    std::string content;
    content.reserve(file.size);
    std::array<char, 1 << 16> buffer;
    while (true) {
      const ssize_t got = ::read(file.fd.get(), buffer.data(), buffer.size());
      if (got == 0) {
        return content;
      }
      if (got < 0) {
        if (errno == EINTR) {
          continue;
        }
        return FromErrno(errno, "reading " + path.string());
      }
      content.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }

  Status Rename(const Path& from, const Path& to) override {
    std::error_code error;
    fs::rename(from, to, error);
    return error ? FromErrorCode(error, "renaming to", to) : OkStatus();
  }

  Status RemoveAll(const Path& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    return error ? FromErrorCode(error, "removing", path) : OkStatus();
  }

  Status CreateDirectories(const Path& path) override {
    std::error_code error;
    fs::create_directories(path, error);
    return error ? FromErrorCode(error, "creating folder", path) : OkStatus();
  }

  Status SyncDirectory(const Path& directory) override {
    const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
      return FromErrno(errno, "opening folder " + directory.string());
    }
    if (::fsync(fd.get()) != 0) {
      return FromErrno(errno, "syncing folder " + directory.string());
    }
    return OkStatus();
  }

  Result<std::uint64_t> FreeBytes(const Path& path) override {
    std::error_code error;
    const fs::space_info space = fs::space(path, error);
    if (error) {
      return FromErrorCode(error, "asking for free space of", path);
    }
    return static_cast<std::uint64_t>(space.available);
  }

 private:
  static Result<std::unique_ptr<OutputFile>> Open(const Path& path, int flags) {
    Fd fd(::open(path.c_str(), flags, 0644));
    if (!fd) {
      return FromErrno(errno, "opening " + path.string() + " for writing");
    }
    const off_t end = ::lseek(fd.get(), 0, SEEK_END);
    if (end < 0) {
      return FromErrno(errno, "seeking in " + path.string());
    }
    return std::unique_ptr<OutputFile>(
        std::make_unique<LocalOutputFile>(path, std::move(fd), static_cast<std::uint64_t>(end)));
  }
};

}  // namespace

FileSystem& LocalFileSystem() {
  static LocalFiles files;
  return files;
}

Status WriteFileAtomically(FileSystem& files, const Path& path, std::string_view content) {
  Path temporary = path;
  temporary += ".tmp." + std::to_string(::getpid());
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files.Create(temporary));
  const auto write = [&]() -> Status {
    TYLLM_TRY(file->Append(content));
    TYLLM_TRY(file->Sync());
    TYLLM_TRY(file->Close());
    TYLLM_TRY(files.Rename(temporary, path));
    return files.SyncDirectory(path.has_parent_path() ? path.parent_path() : Path("."));
  };
  Status status = write();
  if (!status.ok()) {
    // The first error is the one worth reporting.
    (void)files.RemoveAll(temporary);
  }
  return status;
}

}  // namespace tyllm
