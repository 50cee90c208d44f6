// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "worker/model/tokenizer.h"

namespace tyllm::model {

/// Tokens of short pieces seen lately: most words of a text come again. Each piece has one place,
/// and the last one there stays. Not thread-safe; lives as long as one text is encoded.
class PieceCache {
 public:
  PieceCache() : slots_(kSlots) {}

  static bool Takes(std::string_view piece) { return piece.size() <= kLongestPiece; }

  /// Empty when the piece is not there. `piece` is one that the cache takes.
  std::span<const TokenId> Find(std::string_view piece) const {
    const Key key = KeyOf(piece);
    const Slot& slot = slots_[SlotOf(key)];
    return slot.key == key ? std::span(slot.tokens.data(), slot.count) : std::span<const TokenId>();
  }

  void Store(std::string_view piece, std::span<const TokenId> tokens) {
    if (tokens.size() > kMostTokens) {
      return;
    }
    const Key key = KeyOf(piece);
    Slot& slot = slots_[SlotOf(key)];
    slot.key = key;
    slot.count = static_cast<std::uint32_t>(tokens.size());
    std::memcpy(slot.tokens.data(), tokens.data(), tokens.size_bytes());
  }

 private:
  static constexpr std::size_t kSlots = 1 << 14;
  static constexpr std::size_t kLongestPiece = 15;
  static constexpr std::size_t kMostTokens = 7;

  // The piece's bytes and, in the last byte, its length; no piece has the key of an unused slot.
  using Key = std::array<std::uint64_t, 2>;

  struct Slot {
    Key key{};
    std::uint32_t count = 0;
    std::array<TokenId, kMostTokens> tokens{};
  };

  static Key KeyOf(std::string_view piece) {
    std::array<char, 16> bytes{};
    std::memcpy(bytes.data(), piece.data(), piece.size());
    bytes[15] = static_cast<char>(piece.size());
    Key key;
    std::memcpy(key.data(), bytes.data(), 16);
    return key;
  }

  static std::size_t SlotOf(const Key& key) {
    const std::uint64_t mixed = (key[0] ^ (key[1] * 0x9E3779B97F4A7C15U)) * 0xD6E8FEB86659FD93U;
    return static_cast<std::size_t>(mixed >> 40U) % kSlots;
  }

  std::vector<Slot> slots_;
};

}  // namespace tyllm::model
