// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// The merges of a BPE: which pair of neighbours becomes which token, and which pair goes first.
class MergeTable {
 public:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFFU;

  struct Entry {
    std::uint32_t rank = kNoRank;  ///< smaller goes first; kNoRank: the pair does not merge
    TokenId result = 0;
  };

  /// Of two rules for one pair the later one holds.
  explicit MergeTable(std::span<const MergeRule> rules);

  Entry Find(TokenId left, TokenId right) const {
    const std::uint64_t key = KeyOf(left, right);
    for (std::size_t slot = SlotOf(key);; slot = (slot + 1) & mask_) {
      if (slots_[slot].key == key) {
        return slots_[slot].entry;
      }
      if (slots_[slot].key == kEmpty) {
        return {};
      }
    }
  }

  /// Merges neighbours until nothing merges: of the pairs with the smallest rank the leftmost
  /// first. `tokens` shrinks to the result.
  void Apply(std::vector<TokenId>& tokens) const;

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};  // ids are not negative

  struct Slot {
    std::uint64_t key = kEmpty;
    Entry entry;
  };

  static std::uint64_t KeyOf(TokenId left, TokenId right) {
    return (static_cast<std::uint64_t>(left) << 32U) | static_cast<std::uint32_t>(right);
  }

  std::size_t SlotOf(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> 32U) & mask_;
  }

  void ApplyToFew(std::vector<TokenId>& tokens) const;
  void ApplyToMany(std::vector<TokenId>& tokens) const;

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
};

}  // namespace tyllm::model
