// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/evaluate/likelihoods.h"
#include "worker/forward/block_runner.h"

namespace tyllm::evaluate {

/// Texts that run together, without the beginning that their group shares.
struct TextBatch {
  forward::TokenBatch tokens;      ///< what follows the beginning, filled up to one length
  std::vector<std::size_t> texts;  ///< one a sequence
};

/// Texts of one group.
struct TextGroup {
  std::vector<std::int32_t> beginning;  ///< that all of them share; empty when it is not worth it
  std::vector<TextBatch> batches;
};

/// The texts in batches of about `batch_tokens`, those of a group sorted by length.
std::vector<TextGroup> CutTexts(std::span<const ScoredText> texts, std::int64_t batch_tokens);

}  // namespace tyllm::evaluate
