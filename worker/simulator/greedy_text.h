// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "worker/simulator/session.h"

namespace tyllm::simulator {

/// What a reference goes on with after its prompt.
struct ExpectedText {
  std::span<const std::int32_t> tokens;  ///< greedy
  std::int64_t prompt_tokens = 0;
  double tolerance = 0;  ///< of logits
};

/// A compiled model's greedy text beside the reference's, a token at a time.
class GreedyText {
 public:
  GreedyText(const ExpectedText& expected, std::vector<float> logits)
      : expected_(expected), logits_(std::move(logits)) {}

  bool done() const { return tokens_.size() == expected_.tokens.size(); }

  /// Adds the best token after what was read: kDataLoss when it is neither the reference's nor as
  /// good. From one that is as good on, two texts are.
  Status Choose();

  /// What is to be read next,
  std::span<const std::int32_t> last() const { return std::span(tokens_).last(1); }

  /// and the logits after it.
  void Read(std::vector<float> logits) { logits_ = std::move(logits); }

  const std::vector<std::int32_t>& tokens() const { return tokens_; }

  /// Tokens that are the reference's.
  std::int64_t agreed() const { return static_cast<std::int64_t>(tie_.value_or(tokens_.size())); }

 private:
  ExpectedText expected_;
  std::vector<float> logits_;
  std::vector<std::int32_t> tokens_;
  std::optional<std::size_t> tie_;
};

/// Chooses and reads, all texts together (Session::FeedTogether), until they are as long as the
/// reference's or the cache is full. [texts] sessions with equally many tokens.
Status ContinueTogether(std::span<Session> sessions, std::span<GreedyText> texts);

}  // namespace tyllm::simulator
