// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/weight_check.h"

#include "worker/quant/affine_grid.h"
#include "worker/quant/half_tensors.h"

namespace tyllm::quant {

Status CheckWeights(const graph::Block& block, const forward::BlockWeights& weights,
                    const LayerMachine& machine) {
  constexpr float kLargestHalf = 65504.0F;
  for (const graph::Node& node : block.nodes) {
    const bool is_linear = node.op == graph::Op::kLinear;
    if (!is_linear && node.weight.empty()) {
      continue;
    }
    const tensor::MatrixView placed = weights.find(node.weight)->second.view();
    if (machine.kernels.AllWithin(placed, is_linear ? kLargestWeight : kLargestHalf)) {
      continue;
    }
    const tensor::Matrix matrix = machine.backend.Fetch(placed);
    const std::span<const float> numbers(
        matrix.data(), static_cast<std::size_t>(matrix.rows() * matrix.columns()));
    TYLLM_TRY(is_linear ? CheckNumbers(node.weight + ".weight", numbers, kLargestWeight,
                                       "what 4 bits and an fp16 scale can express")
                        : CheckNumbers(node.weight, numbers, kLargestHalf, "the largest of fp16"));
  }
  return OkStatus();
}

}  // namespace tyllm::quant
