// SPDX-License-Identifier: Apache-2.0
// Memory of this program's matrices: weights come and go by the hundred megabytes, and each time
// the kernel hands out every 4 KiB of them one by one, which cost more than computing with them.
// Large blocks ask for 2 MiB pages. Small ones are the C library's as ever; all of them are freed
// by it.
#include <malloc.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20U;
/// Rounding up to whole pages must cost little.
constexpr std::size_t kLarge = 8 * kHugePage;

void* Allocate(std::size_t bytes) {
  if (bytes < kLarge || bytes > SIZE_MAX - kHugePage) {
    return std::malloc(bytes == 0 ? 1 : bytes);
  }
  const std::size_t pages = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const block = std::aligned_alloc(kHugePage, pages);
  if (block != nullptr) {
    ::madvise(block, pages, MADV_HUGEPAGE);  // advice: without such pages all is as before
  }
  return block;
}

/// Left alone, the C library takes ever larger blocks from its heap, up to 32 MB, where a small one
/// behind keeps what was freed: a hundred megabytes of it while a layer was quantized.
[[gnu::constructor]] void KeepLargeBlocksOutOfTheHeap() {
  ::mallopt(M_MMAP_THRESHOLD, static_cast<int>(kLarge));
  ::mallopt(M_TRIM_THRESHOLD, static_cast<int>(kLarge));
}

}  // namespace

void* operator new(std::size_t bytes) {
  while (true) {
    if (void* const block = Allocate(bytes)) {
      return block;
    }
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) {
      throw std::bad_alloc();
    }
    handler();
  }
}

void operator delete(void* block) noexcept {
  std::free(block);
}

void operator delete(void* block, std::size_t /*bytes*/) noexcept {
  std::free(block);
}
