// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tyllm::onnx {

/// A message in protobuf's wire format (https://protobuf.dev/programming-guides/encoding), put
/// together field by field in the order of the calls.
class ProtoWriter {
 public:
  void Integer(std::uint32_t field, std::int64_t value);
  void Float(std::uint32_t field, float value);
  void Bytes(std::uint32_t field, std::string_view bytes);

  void Message(std::uint32_t field, const ProtoWriter& message) { Bytes(field, message.text()); }

  /// A field for each number, as proto2 has it.
  void Integers(std::uint32_t field, std::span<const std::int64_t> values);

  const std::string& text() const { return text_; }

 private:
  void Key(std::uint32_t field, std::uint32_t wire_type);
  void Varint(std::uint64_t value);

  std::string text_;
};

}  // namespace tyllm::onnx
