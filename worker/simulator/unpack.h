// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tyllm::simulator {

/// The integers of a packed row block: value(r, c) = (q(r, c) - zero(r, g)) * scale(r, g).
struct Linear4Codes {
  std::vector<std::uint8_t> q;       ///< [16, columns], each 0..15
  std::vector<std::uint8_t> zero;    ///< [16, groups], each 0..15
  std::vector<std::uint16_t> scale;  ///< [16, groups], binary16 bits
};

Linear4Codes UnpackLinear4Codes(std::span<const std::byte> block, std::int64_t columns,
                                std::int64_t group);

/// One packed row block (docs/formats/packed-weights.md) as float32 [16, columns].
void UnpackLinear4Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out);
void UnpackLinear8Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out);
void UnpackF16Block(std::span<const std::byte> block, std::int64_t columns, std::span<float> out);
void UnpackF16In12Block(std::span<const std::byte> block, std::int64_t columns,
                        std::int64_t exceptions, std::span<float> out);

}  // namespace tyllm::simulator
