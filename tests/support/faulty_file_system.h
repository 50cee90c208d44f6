// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/base/file_system.h"

namespace tyllm::testing {

/// The local file system on which the k-th change (create, write, sync, close, rename, remove,
/// folder) fails, and every one after it, as on a disk that filled up, or just the one; or at which
/// this process is killed.
class FaultyFileSystem : public FileSystem {
 public:
  enum class Fault : std::uint8_t { kStays, kOnce, kKills };

  /// The first `healthy` changes succeed.
  explicit FaultyFileSystem(int healthy, Fault fault = Fault::kStays)
      : left_(healthy), fault_(fault) {}

  /// Changes asked for so far, failed ones included.
  int changes() const { return changes_; }

  bool failed() const { return changes_ > 0 && left_ < 0; }

  Result<std::unique_ptr<OutputFile>> Create(const Path& path) override {
    TYLLM_TRY(Change(path));
    return Wrap(path, LocalFileSystem().Create(path));
  }

  Result<std::unique_ptr<OutputFile>> CreateNew(const Path& path) override {
    TYLLM_TRY(Change(path));
    return Wrap(path, LocalFileSystem().CreateNew(path));
  }

  Result<std::unique_ptr<OutputFile>> OpenForUpdate(const Path& path) override {
    TYLLM_TRY(Change(path));
    return Wrap(path, LocalFileSystem().OpenForUpdate(path));
  }

  Result<std::string> Read(const Path& path) override { return LocalFileSystem().Read(path); }

  Status Rename(const Path& from, const Path& to) override {
    TYLLM_TRY(Change(to));
    return LocalFileSystem().Rename(from, to);
  }

  // Cleaning up works on a full disk too.
  Status RemoveAll(const Path& path) override { return LocalFileSystem().RemoveAll(path); }

  Status CreateDirectories(const Path& path) override {
    TYLLM_TRY(Change(path));
    return LocalFileSystem().CreateDirectories(path);
  }

  Status SyncDirectory(const Path& directory) override {
    TYLLM_TRY(Change(directory));
    return LocalFileSystem().SyncDirectory(directory);
  }

  Result<std::uint64_t> FreeBytes(const Path& path) override {
    return LocalFileSystem().FreeBytes(path);
  }

 private:
  class File final : public OutputFile {
   public:
    File(FaultyFileSystem& owner, Path path, std::unique_ptr<OutputFile> file)
        : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}

    using OutputFile::Append;

    Status Append(std::span<const std::byte> bytes) override {
      TYLLM_TRY(owner_.Change(path_));
      return file_->Append(bytes);
    }

    Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
      TYLLM_TRY(owner_.Change(path_));
      return file_->WriteAt(offset, bytes);
    }

    Status Sync() override {
      TYLLM_TRY(owner_.Change(path_));
      return file_->Sync();
    }

    Status Close() override {
      TYLLM_TRY(owner_.Change(path_));
      return file_->Close();
    }

   private:
    FaultyFileSystem& owner_;
    Path path_;
    std::unique_ptr<OutputFile> file_;
  };

  Status Change(const Path& path) {
    ++changes_;
    const bool late = --left_ < 0;
    if (late && fault_ == Fault::kKills) {
      std::raise(SIGKILL);
    }
    const bool fails = late && (fault_ == Fault::kStays || left_ == -1);
    return fails ? FromErrno(ENOSPC, "writing " + path.string()) : OkStatus();
  }

  Result<std::unique_ptr<OutputFile>> Wrap(const Path& path,
                                           Result<std::unique_ptr<OutputFile>> file) {
    if (!file.ok()) {
      return file.status();
    }
    return std::unique_ptr<OutputFile>(std::make_unique<File>(*this, path, *std::move(file)));
  }

  int left_;
  Fault fault_;
  int changes_ = 0;
};

}  // namespace tyllm::testing
