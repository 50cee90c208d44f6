// SPDX-License-Identifier: Apache-2.0
#include "worker/onnx/proto_writer.h"

#include <bit>

namespace tyllm::onnx {
namespace {

constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kLengthDelimited = 2;
constexpr std::uint32_t kFixed32 = 5;

}  // namespace

void ProtoWriter::Varint(std::uint64_t value) {
  while (value >= 0x80U) {
    text_ += static_cast<char>(value | 0x80U);
    value >>= 7U;
  }
  text_ += static_cast<char>(value);
}

void ProtoWriter::Key(std::uint32_t field, std::uint32_t wire_type) {
  Varint(field << 3U | wire_type);
}

void ProtoWriter::Integer(std::uint32_t field, std::int64_t value) {
  Key(field, kVarint);
  Varint(static_cast<std::uint64_t>(value));
}

void ProtoWriter::Float(std::uint32_t field, float value) {
  Key(field, kFixed32);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (unsigned shift = 0; shift < 32; shift += 8) {
    text_ += static_cast<char>(bits >> shift);
  }
}

void ProtoWriter::Bytes(std::uint32_t field, std::string_view bytes) {
  Key(field, kLengthDelimited);
  Varint(bytes.size());
  text_ += bytes;
}

void ProtoWriter::Integers(std::uint32_t field, std::span<const std::int64_t> values) {
  for (const std::int64_t value : values) {
    Integer(field, value);
  }
}

}  // namespace tyllm::onnx
