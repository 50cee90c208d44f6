// SPDX-License-Identifier: Apache-2.0
#include "worker/model/added_tokens.h"

namespace tyllm::model {

void AddedTokenMatcher::Add(std::string_view content, TokenId id) {
  begins_[static_cast<unsigned char>(content.front())] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto found = nodes_[node].next.find(c);
    if (found != nodes_[node].next.end()) {
      node = found->second;
      continue;
    }
    const auto added = static_cast<std::uint32_t>(nodes_.size());
    nodes_[node].next.emplace(c, added);
    nodes_.emplace_back();
    node = added;
  }
  if (nodes_[node].id < 0) {
    nodes_[node].id = id;
  }
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::Find(std::string_view text,
                                                                std::size_t from) const {
  for (std::size_t start = from; start < text.size(); ++start) {
    if (!begins_[static_cast<unsigned char>(text[start])]) {
      continue;
    }
    std::optional<Match> best;
    std::uint32_t node = 0;
    for (std::size_t at = start; at < text.size(); ++at) {
      const auto next = nodes_[node].next.find(text[at]);
      if (next == nodes_[node].next.end()) {
        break;
      }
      node = next->second;
      if (nodes_[node].id >= 0) {
        best = Match{start, at + 1 - start, nodes_[node].id};
      }
    }
    if (best) {
      return best;
    }
  }
  return std::nullopt;
}

}  // namespace tyllm::model
