// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/enum_table.h"
#include "worker/graph/graph.h"

namespace tyllm::quant {

/// What can absorb the division of a group's input channels by their scales.
enum class Producer : std::uint8_t {
  kNone,    ///< nothing: the input is not made by something that a scale commutes with
  kNorm,    ///< an RMS norm: its weight is divided
  kLinear,  ///< a linear layer: its output rows (and bias) are divided
};

inline constexpr EnumTable<Producer, 3> kProducerNames(
    "producer",
    {{{Producer::kNone, "none"}, {Producer::kNorm, "norm"}, {Producer::kLinear, "linear"}}});

constexpr const auto& NamesOf(Producer) {
  return kProducerNames;
}

/// Linear layers that read one value, and so share the scales of its columns.
struct ScalingGroup {
  graph::ValueId input = 0;
  std::vector<std::string> linears;  ///< module names, in the block's order
  Producer producer = Producer::kNone;
  std::string producer_weight;  ///< the norm's tensor or the linear layer's module; "" for kNone
  std::string producer_bias;    ///< tensor; "" where there is none
  /// The producer's channel of each input column. Query heads that share a KV head share channels.
  std::vector<std::int64_t> channel;
  std::int64_t channels = 0;
};

/// The scaling groups of a decoder layer, in the order in which they run. Found from what makes and
/// what reads each value, not from names:
/// - an RMS norm that only linear layers read;
/// - the linear layer that makes the values of an attention which only linear layers read (a
///   convex combination of rows keeps a column's scale);
/// - the linear layer that makes the `up` of silu(gate) * up which only linear layers read.
std::vector<ScalingGroup> FindScalingGroups(const graph::Block& block,
                                            const model::ModelShape& shape);

}  // namespace tyllm::quant
