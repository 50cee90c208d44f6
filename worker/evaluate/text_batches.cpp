// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/text_batches.h"

#include <algorithm>

namespace tyllm::evaluate {

namespace {

/// A shorter beginning costs more as a run of its own than it saves.
constexpr std::size_t kWorthSharing = 32;

/// Tokens that all texts begin with, so that every target lies behind them.
std::size_t SharedLength(std::span<const ScoredText> texts) {
  const std::vector<std::int32_t>& first = texts.front().ids;
  std::size_t shared = texts.size() > 1 ? first.size() : 0;
  for (const ScoredText& text : texts) {
    const auto [a, b] = std::ranges::mismatch(first, text.ids);
    shared = std::min({shared, static_cast<std::size_t>(a - first.begin()), text.ids.size() - 1});
    for (const ScoredText::Target& target : text.targets) {
      shared = std::min(shared, static_cast<std::size_t>(target.row));
    }
  }
  return shared < kWorthSharing ? 0 : shared;
}

class GroupCutter {
 public:
  GroupCutter(std::span<const ScoredText> texts, std::size_t first, std::size_t shared)
      : texts_(texts), shared_(shared) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      order_.push_back(first + i);
    }
    first_ = first;
    std::ranges::stable_sort(order_, {}, [&](std::size_t i) { return Length(i); });
  }

  std::vector<TextBatch> Cut(std::int64_t batch_tokens) const {
    std::vector<TextBatch> batches;
    for (std::size_t begin = 0; begin < order_.size();) {
      std::size_t end = begin + 1;
      while (end < order_.size() &&
             Length(order_[end]) * static_cast<std::int64_t>(end + 1 - begin) <= batch_tokens) {
        ++end;
      }
      batches.push_back(Fill({order_.begin() + static_cast<std::ptrdiff_t>(begin),
                              order_.begin() + static_cast<std::ptrdiff_t>(end)}));
      begin = end;
    }
    return batches;
  }

 private:
  const std::vector<std::int32_t>& Ids(std::size_t text) const { return texts_[text - first_].ids; }

  std::int64_t Length(std::size_t text) const {
    return static_cast<std::int64_t>(Ids(text).size() - shared_);
  }

  TextBatch Fill(std::vector<std::size_t> members) const {
    const std::int64_t length = Length(members.back());
    TextBatch batch{.tokens = {.sequences = static_cast<std::int64_t>(members.size()),
                               .length = length,
                               .ids = {}},
                    .texts = std::move(members)};
    for (const std::size_t text : batch.texts) {
      const std::vector<std::int32_t>& ids = Ids(text);
      batch.tokens.ids.insert(batch.tokens.ids.end(),
                              ids.begin() + static_cast<std::ptrdiff_t>(shared_), ids.end());
      batch.tokens.ids.resize(
          batch.tokens.ids.size() + static_cast<std::size_t>(length - Length(text)), ids.back());
    }
    return batch;
  }

  std::span<const ScoredText> texts_;
  std::size_t shared_;
  std::size_t first_ = 0;
  std::vector<std::size_t> order_;
};

}  // namespace

std::vector<TextGroup> CutTexts(std::span<const ScoredText> texts, std::int64_t batch_tokens) {
  std::vector<TextGroup> groups;
  for (std::size_t begin = 0; begin < texts.size();) {
    std::size_t end = begin;
    while (end < texts.size() && texts[end].group == texts[begin].group) {
      ++end;
    }
    const auto members = texts.subspan(begin, end - begin);
    const std::size_t shared = SharedLength(members);
    const std::vector<std::int32_t>& ids = members.front().ids;
    groups.push_back({.beginning = {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shared)},
                      .batches = GroupCutter(members, begin, shared).Cut(batch_tokens)});
    begin = end;
  }
  return groups;
}

}  // namespace tyllm::evaluate
