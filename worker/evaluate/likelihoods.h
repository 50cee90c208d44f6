// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "worker/forward/model.h"
#include "worker/tensor/backend.h"

namespace tyllm::evaluate {

/// Tokens, and what may follow them.
struct ScoredText {
  /// A token that may follow ids[row], for its probability.
  struct Target {
    std::int64_t row = 0;
    std::int32_t token = 0;
  };

  std::vector<std::int32_t> ids;  ///< at least one, at most the model's positions
  std::vector<Target> targets;    ///< at least one
  /// Neighbours of one group are expected to begin alike: what they have in common is computed
  /// once.
  std::int64_t group = 0;
};

/// Called with the number of texts that one block has just run over; ScoringBlocks times for each.
using OnTexts = std::function<void(std::int64_t texts)>;

std::int64_t ScoringBlocks(const forward::Model& model);

/// kInvalidArgument, naming the token, where a text holds or asks for one that is not in the
/// model's vocabulary: the tokenizer is another model's.
Status CheckTexts(std::span<const ScoredText> texts, std::int64_t vocabulary);

/// For each text the natural logarithm of p(token | ids[0 .. row]) of its targets, in their order.
/// Texts run in batches of about 2048 tokens, shorter ones filled up behind their end, where causal
/// attention does not look. Each block is read once for every gibibyte of hidden states; in memory
/// are those, two blocks' weights, one batch's activations, and keys and values of one layer of one
/// common beginning.
Result<std::vector<std::vector<double>>> LogLikelihoods(const forward::Model& model,
                                                        tensor::Backend& backend,
                                                        std::span<const ScoredText> texts,
                                                        const OnTexts& on_texts);

}  // namespace tyllm::evaluate
