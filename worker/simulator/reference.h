// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "common/base/parallel.h"
#include "common/domain/progress.h"
#include "worker/forward/model.h"
#include "worker/simulator/golden.h"

namespace tyllm::simulator {

/// How programs round what the reference does not.
struct Rounding {
  bool int8_head = false;
  std::int64_t activation_bits = 16;
  /// Columns of the inputs of o and down that share a scale: those of the dies' parts.
  std::int64_t attention_group = 0;
  std::int64_t mlp_group = 0;

  bool to_int8() const { return int8_head || activation_bits < 16; }
};

struct ReferenceRequest {
  std::span<const std::int32_t> tokens;  ///< at least one
  std::int64_t rows = 1;                 ///< of logits that are kept, at most one a token
  std::int64_t greedy = 0;               ///< tokens to continue with
  Rounding rounding = {};                ///< whose effect is measured, if it is to int8
};

/// The model on one die in float32 by plain loops, from its own files: weights are neither packed
/// nor cut, and memory does not grow with the model. Sums have an order of their own, so that the
/// same model gives the same bits on every machine. Reports stage "golden".
Result<Golden> RunReference(const forward::Model& model, const ReferenceRequest& request,
                            ThreadPool& pool, domain::ProgressSink& progress);

}  // namespace tyllm::simulator
