// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tyllm {

using Path = std::filesystem::path;

/// A file being written. Not thread-safe. Dropping it without Close keeps what was written so far
/// and reports nothing, so call Close and look at what it says.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual Status Append(std::span<const std::byte> bytes) = 0;
  /// Overwrites or extends at `offset` without moving the end that Append writes at, unless beyond
  /// it.
  virtual Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// Returns when the bytes are on the disk.
  virtual Status Sync() = 0;
  virtual Status Close() = 0;

  Status Append(std::string_view text) { return Append(std::as_bytes(std::span(text))); }
};

/// Everything this project writes goes through here: the seam at which tests inject a full disk, a
/// failed write or a crash. Threads: any. Errors name the path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Creates or truncates.
  virtual Result<std::unique_ptr<OutputFile>> Create(const Path& path) = 0;
  /// Creates; kAlreadyExists where there is anything of that name, also a link.
  virtual Result<std::unique_ptr<OutputFile>> CreateNew(const Path& path) = 0;
  /// Opens for writing without truncating; creates it when absent. Append continues at the end.
  virtual Result<std::unique_ptr<OutputFile>> OpenForUpdate(const Path& path) = 0;
  virtual Result<std::string> Read(const Path& path) = 0;
  /// Replaces `to` atomically; both on one file system.
  virtual Status Rename(const Path& from, const Path& to) = 0;
  /// Removes a file or a whole folder; no error when absent.
  virtual Status RemoveAll(const Path& path) = 0;
  virtual Status CreateDirectories(const Path& path) = 0;
  /// Makes a creation or rename in `directory` durable.
  virtual Status SyncDirectory(const Path& directory) = 0;
  virtual Result<std::uint64_t> FreeBytes(const Path& path) = 0;
};

/// The machine's file system.
FileSystem& LocalFileSystem();

/// Writes a temporary file beside `path`, syncs it and renames it: readers see the old or the new
/// content, never a part.
Status WriteFileAtomically(FileSystem& files, const Path& path, std::string_view content);

}  // namespace tyllm
