// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/aligned_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>
#include <utility>

namespace tyllm::simulator {

Result<AlignedMemory> AlignedMemory::Allocate(std::uint64_t bytes, std::string_view what,
                                              Pages pages) {
  AlignedMemory memory;
  if (bytes == 0) {
    return memory;
  }
  void* const address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return ResourceExhausted(std::string(what) + " needs " + std::to_string(bytes) +
                             " bytes of memory, which this machine does not give");
  }
  if (pages == Pages::kHuge) {
    ::madvise(address, bytes, MADV_HUGEPAGE);
  }
  memory.data_ = static_cast<std::byte*>(address);
  memory.size_ = bytes;
  return memory;
}

AlignedMemory::AlignedMemory(AlignedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedMemory& AlignedMemory::operator=(AlignedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AlignedMemory::~AlignedMemory() {
  if (data_ != nullptr) {
    ::munmap(data_, size_);
  }
}

}  // namespace tyllm::simulator
