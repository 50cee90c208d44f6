// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/result.h"

namespace tyllm::simulator {

/// What memory is made of.
enum class Pages : std::uint8_t {
  kHuge,   ///< huge ones where the kernel has them: read faster
  kSmall,  ///< for memory that is touched here and there: a huge page is resident as a whole
};

/// Zeroed memory for a die's arena or KV cache, page-aligned. Pages that are never touched cost
/// nothing, and none is reserved: there may be more of it than the machine has.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  /// `what` is named when there is too little memory.
  static Result<AlignedMemory> Allocate(std::uint64_t bytes, std::string_view what,
                                        Pages pages = Pages::kHuge);
  AlignedMemory(AlignedMemory&& other) noexcept;
  AlignedMemory& operator=(AlignedMemory&& other) noexcept;
  ~AlignedMemory();

  std::byte* data() const { return data_; }

  std::uint64_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace tyllm::simulator
