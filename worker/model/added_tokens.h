// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// Finds added tokens in text: leftmost first, the longest of those that begin there.
class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t begin = 0;  ///< of what the token covers, with white space that it takes along
    std::size_t end = 0;
    std::size_t next = 0;  ///< where the next search begins
    TokenId id = 0;
  };

  /// `content` is how the text spells the token, and not empty; of two equal ones the first holds.
  void Add(std::string_view content, const AddedToken& token);
  /// The first match at or after `from`. What is before `covered` is another match's: white space
  /// there is not taken along. `text` is valid UTF-8.
  std::optional<Match> Find(std::string_view text, std::size_t from, std::size_t covered) const;

 private:
  struct Rule {
    TokenId id = 0;
    bool single_word = false;
    bool lstrip = false;
    bool rstrip = false;
  };

  struct Node {
    std::map<char, std::uint32_t> next;
    std::int32_t rule = -1;  // -1: no token ends here
  };

  struct Spelling {
    std::size_t begin = 0;
    std::size_t end = 0;
    const Rule* rule = nullptr;
  };

  std::optional<Spelling> FindSpelling(std::string_view text, std::size_t from) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<Rule> rules_;
  bool begins_[256] = {};  // bytes that some token begins with
};

}  // namespace tyllm::model
