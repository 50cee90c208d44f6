// SPDX-License-Identifier: Apache-2.0
#include "worker/model/merge_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <queue>

namespace tyllm::model {

namespace {

// Up to here looking through all neighbours for the best pair is faster than keeping a heap.
constexpr std::size_t kFew = 40;

}  // namespace

MergeTable::MergeTable(std::span<const MergeRule> rules) {
  slots_.resize(std::bit_ceil(rules.size() + rules.size() / 2 + 2));
  mask_ = slots_.size() - 1;
  std::uint32_t rank = 0;
  for (const MergeRule& rule : rules) {
    const std::uint64_t key = KeyOf(rule.left, rule.right);
    std::size_t slot = SlotOf(key);
    while (slots_[slot].key != kEmpty && slots_[slot].key != key) {
      slot = (slot + 1) & mask_;
    }
    slots_[slot] = {key, {rank++, rule.result}};
  }
}

void MergeTable::Apply(std::vector<TokenId>& tokens) const {
  if (tokens.size() <= kFew) {
    ApplyToFew(tokens);
  } else {
    ApplyToMany(tokens);
  }
}

void MergeTable::ApplyToFew(std::vector<TokenId>& tokens) const {
  std::array<Entry, kFew> pairs;  // pairs[i] is of tokens i and i + 1
  std::size_t count = tokens.size();
  for (std::size_t i = 0; i + 1 < count; ++i) {
    pairs[i] = Find(tokens[i], tokens[i + 1]);
  }
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      best = pairs[i].rank < pairs[best].rank ? i : best;
    }
    if (pairs[best].rank == kNoRank) {
      break;
    }
    tokens[best] = pairs[best].result;
    std::copy(tokens.begin() + best + 2, tokens.begin() + count, tokens.begin() + best + 1);
    std::copy(pairs.begin() + best + 1, pairs.begin() + count - 1, pairs.begin() + best);
    --count;
    if (best > 0) {
      pairs[best - 1] = Find(tokens[best - 1], tokens[best]);
    }
    if (best + 1 < count) {
      pairs[best] = Find(tokens[best], tokens[best + 1]);
    }
  }
  tokens.resize(count);
}

void MergeTable::ApplyToMany(std::vector<TokenId>& tokens) const {
  constexpr std::size_t kNone = ~std::size_t{0};

  struct Link {
    std::size_t before = kNone;
    std::size_t after = kNone;
  };

  struct Candidate {
    std::uint32_t rank;
    std::size_t at;
    TokenId left, right, result;

    bool operator<(const Candidate& other) const {  // the queue's top is its largest
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  const std::size_t count = tokens.size();
  std::vector<Link> links(count);
  std::priority_queue<Candidate> queue;
  const auto consider = [&](std::size_t at) {
    if (at == kNone || links[at].after == kNone) {
      return;
    }
    const TokenId right = tokens[links[at].after];
    if (const Entry entry = Find(tokens[at], right); entry.rank != kNoRank) {
      queue.push({entry.rank, at, tokens[at], right, entry.result});
    }
  };
  for (std::size_t i = 0; i < count; ++i) {
    links[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }
  for (std::size_t i = 0; i < count; ++i) {
    consider(i);
  }
  constexpr TokenId kGone = -1;
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const std::size_t next = links[top.at].after;
    if (tokens[top.at] != top.left || next == kNone || tokens[next] != top.right) {
      continue;  // one of the two has merged with another since
    }
    tokens[top.at] = top.result;
    tokens[next] = kGone;
    links[top.at].after = links[next].after;
    if (links[next].after != kNone) {
      links[links[next].after].before = top.at;
    }
    consider(links[top.at].before);
    consider(top.at);
  }
  std::erase(tokens, kGone);
}

}  // namespace tyllm::model
