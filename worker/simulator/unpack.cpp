// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/unpack.h"

#include "common/format/float16.h"
#include "worker/die/row_lanes.h"

namespace tyllm::simulator {

namespace {

unsigned ByteAt(std::span<const std::byte> bytes, std::int64_t at) {
  return static_cast<unsigned>(bytes[static_cast<std::size_t>(at)]);
}

unsigned WordAt(std::span<const std::byte> bytes, std::int64_t at) {
  return ByteAt(bytes, at) | ByteAt(bytes, at + 1) << 8U;
}

float HalfAt(std::span<const std::byte> bytes, std::int64_t at) {
  return format::HalfToFloat(static_cast<std::uint16_t>(WordAt(bytes, at)));
}

}  // namespace

void UnpackLinear4Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out) {
  const std::int64_t scales = columns * 8;
  const std::int64_t zeros = scales + columns / group * 32;
  for (std::int64_t r = 0; r < die::kRowBlock; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t g = c / group;
      const unsigned word = WordAt(block, c / 8 * 64 + (2 * r + c % 2) * 2);
      const unsigned q = (word >> (4U * (static_cast<unsigned>(c) % 8 / 2))) & 15U;
      const unsigned both = ByteAt(block, zeros + g * 8 + r / 2);
      const unsigned zero = r % 2 == 0 ? both & 15U : both >> 4U;
      const auto steps = static_cast<float>(static_cast<int>(q) - static_cast<int>(zero));
      out[static_cast<std::size_t>(r * columns + c)] =
          steps * HalfAt(block, scales + g * 32 + r * 2);
    }
  }
}

void UnpackLinear8Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out) {
  const std::int64_t scales = columns * die::kRowBlock;
  for (std::int64_t r = 0; r < die::kRowBlock; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const unsigned byte = ByteAt(block, c / 2 * 2 * die::kRowBlock + 2 * r + c % 2);
      out[static_cast<std::size_t>(r * columns + c)] =
          static_cast<float>(static_cast<std::int8_t>(byte)) *
          HalfAt(block, scales + (c / group * die::kRowBlock + r) * 2);
    }
  }
}

void UnpackF16Block(std::span<const std::byte> block, std::int64_t columns, std::span<float> out) {
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < die::kRowBlock; ++r) {
      out[static_cast<std::size_t>(r * columns + c)] = HalfAt(block, (c * die::kRowBlock + r) * 2);
    }
  }
}

}  // namespace tyllm::simulator
