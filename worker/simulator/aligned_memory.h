// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/result.h"

namespace tyllm::simulator {

/// Zeroed memory for a die's arena or KV cache: page-aligned, in huge pages where the kernel has
/// them. Pages that are never touched cost nothing.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  /// `what` is named when there is too little memory.
  static Result<AlignedMemory> Allocate(std::uint64_t bytes, std::string_view what);
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
