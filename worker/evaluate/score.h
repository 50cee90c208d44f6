// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "worker/forward/streamed_pass.h"

namespace tyllm::evaluate {

/// Sums over predicted tokens.
struct ScoreSums {
  std::int64_t predictions = 0;
  std::vector<double> nll;  ///< of each model, in nats
  double divergence = 0.0;  ///< of KL(second model || first model)
  std::int64_t agreements = 0;
};

/// Called with the number of windows that one block of one model has just run over.
using OnWindows = std::function<void(std::int64_t windows)>;

/// How many calls to OnWindows count each window: blocks of all models, heads included.
std::int64_t BlocksOf(std::span<const forward::Model* const> models);

/// Runs one model, or a model and its reference (in this order, of one vocabulary), over windows of
/// text. Each block is read once for every gibibyte of hidden states: that much is in memory, the
/// weights of at most two blocks (both heads with a reference), and a batch's activations.
Result<ScoreSums> ScoreWindows(std::span<const forward::Model* const> models,
                               tensor::Backend& backend,
                               std::span<const forward::TokenBatch> batches,
                               const OnWindows& on_windows);

}  // namespace tyllm::evaluate
