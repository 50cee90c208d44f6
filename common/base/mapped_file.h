// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/file_system.h"

namespace tyllm {

/// A whole file mapped read-only. The span stays valid as long as the object, also after a move.
class MappedFile {
 public:
  static Result<MappedFile> Open(const Path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  const Path& path() const { return path_; }

  /// Tells the kernel that these bytes will not be needed again soon, so that a mapped model does
  /// not count as resident memory once its layer is done.
  void Forget(std::span<const std::byte> part) const;

 private:
  MappedFile(Path path, const std::byte* data, std::size_t size);
  Path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace tyllm
