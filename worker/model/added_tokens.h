// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/model/tokenizer.h"

namespace tyllm::model {

/// Finds added tokens in text: leftmost first, the longest of those that begin there.
class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t offset = 0;
    std::size_t length = 0;
    TokenId id = 0;
  };

  /// `content` is not empty; of two equal ones the first holds.
  void Add(std::string_view content, TokenId id);
  /// The first match at or after `from`.
  std::optional<Match> Find(std::string_view text, std::size_t from) const;

 private:
  struct Node {
    std::map<char, std::uint32_t> next;
    TokenId id = -1;  // -1: no token ends here
  };

  std::vector<Node> nodes_ = std::vector<Node>(1);
  bool begins_[256] = {};  // bytes that some token begins with
};

}  // namespace tyllm::model
