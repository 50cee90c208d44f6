// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "common/base/parallel.h"
#include "common/domain/progress.h"
#include "worker/forward/model.h"
#include "worker/simulator/golden.h"

namespace tyllm::simulator {

struct ReferenceRequest {
  std::span<const std::int32_t> tokens;  ///< at least one
  std::int64_t rows = 1;                 ///< of logits that are kept, at most one a token
  std::int64_t greedy = 0;               ///< tokens to continue with
};

/// The model on one die in float32 by plain loops, from its own files: weights are neither packed
/// nor cut, and memory does not grow with the model. Sums have an order of their own, so that the
/// same model gives the same bits on every machine. Reports stage "golden".
Result<Golden> RunReference(const forward::Model& model, const ReferenceRequest& request,
                            ThreadPool& pool, domain::ProgressSink& progress);

}  // namespace tyllm::simulator
