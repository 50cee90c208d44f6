// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::model {

/// Byte i of the result is nibble i of `word`, lowest first.
constexpr std::uint64_t SpreadNibbles(std::uint32_t word) {
  std::uint64_t x = word;
  x = (x | (x << 16U)) & 0x0000FFFF0000FFFFU;
  x = (x | (x << 8U)) & 0x00FF00FF00FF00FFU;
  return (x | (x << 4U)) & 0x0F0F0F0F0F0F0F0FU;
}

/// Undoes SpreadNibbles; upper halves of the bytes are lost.
constexpr std::uint32_t GatherNibbles(std::uint64_t bytes) {
  std::uint64_t x = bytes & 0x0F0F0F0F0F0F0F0FU;
  x = (x | (x >> 4U)) & 0x00FF00FF00FF00FFU;
  x = (x | (x >> 8U)) & 0x0000FFFF0000FFFFU;
  return static_cast<std::uint32_t>(x | (x >> 16U));
}

static_assert(SpreadNibbles(0x76543210U) == 0x0706050403020100U);
static_assert(GatherNibbles(0xF7F6F5F4F3F2F1F0U) == 0x76543210U);

}  // namespace tyllm::model
