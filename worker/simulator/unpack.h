// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tyllm::simulator {

/// One packed row block (docs/formats/packed-weights.md) as float32 [16, columns].
void UnpackLinear4Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out);
void UnpackLinear8Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out);
void UnpackF16Block(std::span<const std::byte> block, std::int64_t columns, std::span<float> out);

}  // namespace tyllm::simulator
