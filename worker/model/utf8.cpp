// SPDX-License-Identifier: Apache-2.0
#include "worker/model/utf8.h"

#include <cstring>

namespace tyllm::model {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What may follow a first byte: how many bytes, and the range of the first of them. The others are
// 0x80..0xBF.
struct Followers {
  std::size_t count = 0;  // 0: no character begins with this byte
  unsigned low = 0x80;
  unsigned high = 0xBF;
};

Followers FollowersOf(unsigned first) {
  if (first >= 0xC2 && first <= 0xDF) {
    return {1};
  }
  switch (first) {
    case 0xE0:
      return {2, 0xA0, 0xBF};
    case 0xED:
      return {2, 0x80, 0x9F};
    case 0xF0:
      return {3, 0x90, 0xBF};
    case 0xF4:
      return {3, 0x80, 0x8F};
    default:
      break;
  }
  if (first >= 0xE1 && first <= 0xEF) {
    return {2};
  }
  if (first >= 0xF1 && first <= 0xF3) {
    return {3};
  }
  return {};
}

// Bytes at the front that are ASCII, eight at a time.
std::size_t AsciiPrefix(std::string_view bytes) {
  std::size_t at = 0;
  while (at + 8 <= bytes.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    if ((word & 0x8080808080808080U) != 0) {
      break;
    }
    at += 8;
  }
  while (at < bytes.size() && static_cast<unsigned char>(bytes[at]) < 0x80) {
    ++at;
  }
  return at;
}

}  // namespace

Utf8Unit FirstUtf8Unit(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes.front());
  if (first < 0x80) {
    return {Utf8Kind::kCharacter, 1};
  }
  const Followers followers = FollowersOf(first);
  if (followers.count == 0) {
    return {Utf8Kind::kInvalid, 1};
  }
  for (std::size_t i = 1; i <= followers.count; ++i) {
    if (i == bytes.size()) {
      return {Utf8Kind::kUnfinished, i};
    }
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte < (i == 1 ? followers.low : 0x80U) || byte > (i == 1 ? followers.high : 0xBFU)) {
      return {Utf8Kind::kInvalid, i};
    }
  }
  return {Utf8Kind::kCharacter, followers.count + 1};
}

std::size_t ValidUtf8Prefix(std::string_view bytes) {
  std::size_t at = 0;
  while (true) {
    at += AsciiPrefix(bytes.substr(at));
    if (at == bytes.size()) {
      return at;
    }
    const Utf8Unit unit = FirstUtf8Unit(bytes.substr(at));
    if (unit.kind != Utf8Kind::kCharacter) {
      return at;
    }
    at += unit.length;
  }
}

std::string TakeUtf8(std::string& bytes, bool at_end) {
  std::string text;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const std::size_t valid = ValidUtf8Prefix(rest);
    text += rest.substr(0, valid);
    rest.remove_prefix(valid);
    if (rest.empty()) {
      break;
    }
    const Utf8Unit unit = FirstUtf8Unit(rest);
    if (unit.kind == Utf8Kind::kUnfinished && !at_end) {
      break;
    }
    text += kReplacement;
    rest.remove_prefix(unit.length);
  }
  bytes.erase(0, bytes.size() - rest.size());
  return text;
}

}  // namespace tyllm::model
