// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/weight_check.h"

#include <string>
#include <string_view>
#include <utility>

#include "worker/quant/affine_grid.h"
#include "worker/quant/half_tensors.h"

namespace tyllm::quant {

namespace {

constexpr float kLargestHalf = 65504.0F;

/// A tensor of the output, and the largest number that it can hold.
struct Limit {
  std::string tensor;
  float largest;
  std::string_view why;
};

Status CheckPlaced(const Limit& limit, const tensor::Matrix& weights, const LayerMachine& machine) {
  const tensor::MatrixView placed = weights.view();
  if (machine.kernels.AllWithin(placed, limit.largest)) {
    return OkStatus();
  }
  const tensor::Matrix matrix = machine.backend.Fetch(placed);
  const std::span<const float> numbers(matrix.data(),
                                       static_cast<std::size_t>(matrix.rows() * matrix.columns()));
  return CheckNumbers(limit.tensor, numbers, limit.largest, limit.why);
}

Limit HalfLimit(std::string tensor) {
  return {std::move(tensor), kLargestHalf, "the largest of fp16"};
}

}  // namespace

Status CheckWeights(const graph::Block& block, const forward::BlockWeights& weights,
                    const LayerMachine& machine) {
  for (const graph::Node& node : block.nodes) {
    if (node.op == graph::Op::kLinear) {
      const Limit limit{node.weight + ".weight", kLargestWeight,
                        "what 4 bits and an fp16 scale can express"};
      TYLLM_TRY(CheckPlaced(limit, weights.find(node.weight)->second, machine));
    } else if (!node.weight.empty()) {
      TYLLM_TRY(CheckPlaced(HalfLimit(node.weight), weights.find(node.weight)->second, machine));
    }
    if (!node.bias.empty()) {
      TYLLM_TRY(CheckPlaced(HalfLimit(node.bias), weights.find(node.bias)->second, machine));
    }
  }
  return OkStatus();
}

}  // namespace tyllm::quant
