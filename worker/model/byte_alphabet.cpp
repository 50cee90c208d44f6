// SPDX-License-Identifier: Apache-2.0
#include "worker/model/byte_alphabet.h"

#include <array>

namespace tyllm::model {

namespace {

constexpr std::uint16_t kNoByte = 256;
constexpr std::size_t kCodePoints = 0x144;  // one past the last stand-in

constexpr bool IsPrintable(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<std::uint16_t, 256> MakeCodePoints() {
  std::array<std::uint16_t, 256> points{};
  std::uint16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    points[byte] = IsPrintable(byte) ? static_cast<std::uint16_t>(byte) : next++;
  }
  return points;
}

constexpr std::array<std::uint16_t, 256> kCodePointOf = MakeCodePoints();

constexpr std::array<std::uint16_t, kCodePoints> MakeBytes() {
  std::array<std::uint16_t, kCodePoints> bytes{};
  bytes.fill(kNoByte);
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes[kCodePointOf[byte]] = static_cast<std::uint16_t>(byte);
  }
  return bytes;
}

constexpr std::array<std::uint16_t, kCodePoints> kByteOf = MakeBytes();

}  // namespace

std::string StandInOf(std::uint8_t byte) {
  const unsigned point = kCodePointOf[byte];
  if (point < 0x80) {
    return {static_cast<char>(point)};
  }
  return {static_cast<char>(0xC0U | (point >> 6U)), static_cast<char>(0x80U | (point & 0x3FU))};
}

std::optional<std::string> BytesOfStandIns(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned point = static_cast<unsigned char>(text[i]);
    if (point >= 0x80) {  // every stand-in beyond ASCII has two bytes
      if (point < 0xC2 || point > 0xDF || i + 1 == text.size()) {
        return std::nullopt;
      }
      const unsigned second = static_cast<unsigned char>(text[++i]);
      point = ((point & 0x1FU) << 6U) | (second & 0x3FU);
    }
    if (point >= kCodePoints || kByteOf[point] == kNoByte) {
      return std::nullopt;
    }
    bytes += static_cast<char>(kByteOf[point]);
  }
  return bytes;
}

}  // namespace tyllm::model
