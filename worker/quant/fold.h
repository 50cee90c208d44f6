// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "common/base/result.h"
#include "worker/forward/block_runner.h"
#include "worker/quant/layer_kernels.h"
#include "worker/quant/scaling_group.h"

namespace tyllm::quant {

/// What folding with given scales would really do, since producers are stored in fp16.
struct FoldPlan {
  std::vector<float> norm;     ///< the norm's new weight (values of fp16); empty unless kNorm
  std::vector<float> bias;     ///< the producer's new bias (values of fp16); empty without one
  std::vector<float> scales;   ///< effective scale of each input column
  std::vector<float> channel;  ///< effective scale of each channel of the producer
};

/// Divides the producer's fp16 numbers by the wanted scales (one an input column, equal within a
/// channel), rounds them, and says by which scales they were then really divided. Where rounding
/// leaves nothing to divide by (0, or beyond fp16's range) the channel keeps scale 1. With these
/// scales the folded layer is the same function as the float one, up to float32 rounding. A group
/// without a producer takes only scales of 1. The weights are in the machine's memory.
FoldPlan PlanFold(const ScalingGroup& group, const forward::BlockWeights& weights,
                  std::span<const float> scales, const LayerMachine& machine);

/// Divides the producer and multiplies the columns of the group's linears. The producer's own rows
/// stay in float32: it is rounded later.
void ApplyFold(const ScalingGroup& group, const FoldPlan& plan, const LayerMachine& machine,
               forward::BlockWeights& weights);

}  // namespace tyllm::quant
