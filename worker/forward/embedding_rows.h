// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/forward/model.h"

namespace tyllm::forward {

/// Ids outside [0, vocabulary) are kInvalidArgument naming the first one.
Status CheckIds(const TokenBatch& batch, std::int64_t vocabulary);

/// What BlockRunner::RunEmbedding gives, with only those rows of the table in memory that the batch
/// names: a table of a large vocabulary takes gigabytes in float32.
Result<tensor::Matrix> EmbedTokens(BlockRunner& runner, const model::Checkpoint& checkpoint,
                                   const graph::Block& embedding, const TokenBatch& batch);

/// The decoder layers, in the order in which they run.
std::vector<const graph::Block*> LayersOf(const Model& model);

}  // namespace tyllm::forward
