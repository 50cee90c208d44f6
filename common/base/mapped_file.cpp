// SPDX-License-Identifier: Apache-2.0
#include "common/base/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/regular_file.h"

namespace tyllm {

MappedFile::MappedFile(Path path, const std::byte* data, std::size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_);
  }
}

Result<MappedFile> MappedFile::Open(const Path& path) {
  TYLLM_ASSIGN(const RegularFile file, OpenRegularFile(path));
  if (file.size == 0) {
    return MappedFile(path, nullptr, 0);
  }
  void* const data = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.fd.get(), 0);
  if (data == MAP_FAILED) {
    return FromErrno(errno, "mapping " + path.string());
  }
  return MappedFile(path, static_cast<const std::byte*>(data), file.size);
}

void MappedFile::Forget(std::span<const std::byte> part) const {
  if (part.empty()) {
    return;
  }
  // What was read mapped pages around it as well, up to the largest that the kernel has. Where
  // those are in use they are only mapped again.
  constexpr std::size_t kAround = std::size_t{2} << 20U;
  const auto offset = static_cast<std::size_t>(part.data() - data_);
  const std::size_t begin = offset / kAround * kAround;
  const std::size_t end = std::min((offset + part.size() + kAround - 1) / kAround * kAround, size_);
  ::madvise(const_cast<std::byte*>(data_ + begin), end - begin, MADV_DONTNEED);
}

}  // namespace tyllm
