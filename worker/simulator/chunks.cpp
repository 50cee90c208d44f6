// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/chunks.h"

#include <algorithm>
#include <functional>
#include <optional>

namespace tyllm::simulator {

namespace {

/// The program of a bucket that serves: without history the one made for it, otherwise one that
/// computes no more logits than are wanted.
std::optional<plan::ProgramKind> KindFor(std::int64_t bucket, std::int64_t history, Rows rows,
                                         bool visual) {
  std::optional<plan::ProgramKind> chosen;
  for (const plan::ProgramKind kind : plan::KindsOfBucket(bucket, visual)) {
    if (rows == Rows::kEvery && !plan::EveryLogit(kind)) {
      continue;
    }
    const bool runs = plan::TakesHistory(kind) || history == 0;
    if (runs && (!chosen || plan::EveryLogit(*chosen))) {
      chosen = kind;
    }
  }
  return chosen;
}

}  // namespace

std::vector<Chunk> PlanChunks(std::span<const std::int64_t> buckets, std::int64_t history,
                              std::int64_t tokens, Rows rows, bool visual) {
  std::vector<std::int64_t> sizes(buckets.begin(), buckets.end());
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  std::vector<Chunk> chunks;
  const auto usable = [&](std::int64_t bucket) {
    return KindFor(bucket, history, rows, visual).has_value();
  };
  while (tokens > 0) {
    auto bucket = std::find_if(sizes.begin(), sizes.end(),
                               [&](std::int64_t s) { return s <= tokens && usable(s); });
    if (bucket == sizes.end()) {
      const auto smallest = std::find_if(sizes.rbegin(), sizes.rend(), usable);
      if (smallest == sizes.rend()) {
        return {};
      }
      bucket = smallest.base() - 1;
    }
    const std::int64_t taken = std::min(*bucket, tokens);
    chunks.push_back({{*KindFor(*bucket, history, rows, visual), *bucket}, taken});
    history += taken;
    tokens -= taken;
  }
  return chunks;
}

std::string Describe(const std::vector<Chunk>& chunks) {
  std::string text;
  for (std::size_t i = 0; i < chunks.size();) {
    std::size_t run = i;
    while (run < chunks.size() && chunks[run].tokens == chunks[i].tokens) {
      ++run;
    }
    text += (text.empty() ? "" : "+") + (run - i > 1 ? std::to_string(run - i) + "x" : "") +
            std::to_string(chunks[i].tokens);
    i = run;
  }
  return text;
}

}  // namespace tyllm::simulator
