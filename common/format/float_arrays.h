// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tyllm::format {

/// Whole arrays of 16-bit floats, little-endian, to float32 and back, at the speed of memory.
/// Sources of raw bytes need no alignment. Values are exactly those of float16.h's functions, but
/// for the payload of a NaN. Sizes must match: 2 bytes an element.
void HalvesToFloats(std::span<const std::byte> halves, std::span<float> floats);
void BFloat16sToFloats(std::span<const std::byte> bfloats, std::span<float> floats);
void FloatsToHalves(std::span<const float> floats, std::span<std::uint16_t> halves);
void FloatsToBFloat16s(std::span<const float> floats, std::span<std::uint16_t> bfloats);

}  // namespace tyllm::format
