// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/unpack.h"

#include "common/format/float16.h"
#include "worker/die/linear_f16_in_12.h"
#include "worker/die/packing.h"
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

Linear4Codes UnpackLinear4Codes(std::span<const std::byte> block, std::int64_t columns,
                                std::int64_t group) {
  const die::Linear4Places places{columns, group};
  Linear4Codes codes;
  for (std::int64_t r = 0; r < die::kRowBlock; ++r) {
    for (std::int64_t g = 0; g < columns / group; ++g) {
      const std::int64_t nibbles = places.Nibbles(g);
      for (std::int64_t c = 0; c < group; ++c) {
        const unsigned word = WordAt(block, nibbles + c / 8 * 64 + (2 * r + c % 2) * 2);
        codes.q.push_back(
            static_cast<std::uint8_t>((word >> (4U * (static_cast<unsigned>(c) % 8 / 2))) & 15U));
      }
      const unsigned both = ByteAt(block, places.Zeros(g) + r / 2);
      codes.zero.push_back(static_cast<std::uint8_t>(r % 2 == 0 ? both & 15U : both >> 4U));
      codes.scale.push_back(static_cast<std::uint16_t>(WordAt(block, places.Scales(g) + r * 2)));
    }
  }
  return codes;
}

void UnpackLinear4Block(std::span<const std::byte> block, std::int64_t columns, std::int64_t group,
                        std::span<float> out) {
  const Linear4Codes codes = UnpackLinear4Codes(block, columns, group);
  for (std::size_t i = 0; i < codes.q.size(); ++i) {
    const std::size_t g = i / static_cast<std::size_t>(group);
    const auto steps = static_cast<float>(codes.q[i] - codes.zero[g]);
    out[i] = steps * format::HalfToFloat(codes.scale[g]);
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

void UnpackF16In12Block(std::span<const std::byte> block, std::int64_t columns,
                        std::int64_t exceptions, std::span<float> out) {
  const die::BlockIn12 packed{block.data(),
                              die::In12HeadBytes(static_cast<std::uint64_t>(exceptions))};
  for (int r = 0; r < die::kRowBlock; ++r) {
    for (int c = 0; c < columns; ++c) {
      out[static_cast<std::size_t>(r * columns + c)] = packed.Number(r, c);
    }
  }
  for (int i = 0; i < packed.Exceptions(); ++i) {
    const die::In12Exception exception = packed.Exception(i);
    out[static_cast<std::size_t>(exception.row() * columns + exception.column())] =
        die::JoinBrain(exception.high(), packed.Low(exception.row(), exception.column()));
  }
}

}  // namespace tyllm::simulator
