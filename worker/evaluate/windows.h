// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "common/domain/task_options.h"
#include "worker/forward/block_runner.h"
#include "worker/model/model_shape.h"

namespace tyllm::evaluate {

/// How many windows a text of `tokens` tokens has: they start at 0, W, 2W, ... while start + W <
/// tokens, do not overlap, and each predicts W - 1 tokens (docs/manual/tyllm-evaluate.md). Errors:
/// a text without a single window, a window that the model has no positions for.
Result<std::int64_t> CountWindows(std::int64_t tokens, const domain::EvaluateOptions& options,
                                  const model::ModelShape& shape);

/// The first `windows` windows of `tokens`, in batches of about 2048 tokens.
std::vector<forward::TokenBatch> CutWindows(std::span<const std::int32_t> tokens,
                                            std::int64_t window, std::int64_t windows);

}  // namespace tyllm::evaluate
