// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/digest.h"
#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm::server::blobs {

/// Bytes [offset, end) of an open file, read in order. Not thread-safe.
class FileRange {
 public:
  static Result<FileRange> Open(const Path& path, std::uint64_t offset, std::uint64_t end);

  /// As BlobReader::Read. A file that ends before `end` is kDataLoss.
  Result<std::size_t> Read(std::span<std::byte> buffer);

  /// The file is still the one of that name.
  bool IsAt(const Path& path) const;

 private:
  FileRange(Fd fd, Path path, std::uint64_t offset, std::uint64_t end)
      : fd_(std::move(fd)), path_(std::move(path)), offset_(offset), end_(end) {}

  Fd fd_;
  Path path_;
  std::uint64_t offset_;
  std::uint64_t end_;
};

}  // namespace tyllm::server::blobs
