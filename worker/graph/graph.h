// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/enum_table.h"
#include "worker/model/model_shape.h"

namespace tyllm::graph {

/// The operations that models are made of. Rows are tokens.
enum class Op : std::uint8_t {
  kEmbed,        ///< token ids -> rows of `weight` [vocabulary, columns]
  kRmsNorm,      ///< over each row; `weight` [columns]
  kHeadRmsNorm,  ///< over each head of each row; `weight` [head_size]
  kLinear,     ///< x W^T + bias; `weight` is a module name ("....q_proj"), its matrix [columns out,
               ///< in]
  kRope,       ///< rotates each head by its token's position
  kAttention,  ///< inputs q, k, v: causal, grouped queries, scaled by head_size^-1/2
  kSiluMul,    ///< inputs gate, up: silu(gate) * up
  kAdd,
  // Of visual towers, whose rows are patches (graph/tower.h).
  kLayerNorm,        ///< over each row; `weight` and `bias` [columns]
  kGelu,             ///< by erf
  kGeluTanh,         ///< its approximation by tanh
  kQuickGelu,        ///< x * sigmoid(1.702 x)
  kGridEmbedding,    ///< rows of `weight`, a square grid, interpolated at each patch's place
  kFrameAttention,   ///< inputs q, k, v: all patches of a frame see each other
  kWindowAttention,  ///< inputs q, k, v: all patches of a window see each other
  kToWindows,        ///< patches ordered by windows
  kFromWindows,      ///< tokens ordered by frames, rows and columns again
  kMerge,            ///< runs of rows, one after the other, as one row
};

inline constexpr EnumTable<Op, 18> kOpNames("op", {{{Op::kEmbed, "embed"},
                                                    {Op::kRmsNorm, "rms_norm"},
                                                    {Op::kHeadRmsNorm, "head_rms_norm"},
                                                    {Op::kLinear, "linear"},
                                                    {Op::kRope, "rope"},
                                                    {Op::kAttention, "attention"},
                                                    {Op::kSiluMul, "silu_mul"},
                                                    {Op::kAdd, "add"},
                                                    {Op::kLayerNorm, "layer_norm"},
                                                    {Op::kGelu, "gelu"},
                                                    {Op::kGeluTanh, "gelu_tanh"},
                                                    {Op::kQuickGelu, "quick_gelu"},
                                                    {Op::kGridEmbedding, "grid_embedding"},
                                                    {Op::kFrameAttention, "frame_attention"},
                                                    {Op::kWindowAttention, "window_attention"},
                                                    {Op::kToWindows, "to_windows"},
                                                    {Op::kFromWindows, "from_windows"},
                                                    {Op::kMerge, "merge"}}});

constexpr const auto& NamesOf(Op) {
  return kOpNames;
}

/// Index into Block::values.
using ValueId = std::int32_t;

struct Value {
  std::string name;
  std::int64_t columns = 0;
};

struct Node {
  Op op = Op::kAdd;
  std::vector<ValueId> inputs;
  ValueId output = 0;
  /// Tensor name, or module name for kLinear; empty where the op has no weight.
  std::string weight;
  /// Tensor name, empty where there is none.
  std::string bias = {};
  /// A linear layer whose weight holds several, one after the other (q, k and v of a tower): this
  /// one is rows [part, part + 1) / parts of weight and bias.
  std::int32_t part = 0;
  std::int32_t parts = 1;
};

/// A part of the model that is resident as a whole: the embedding, one decoder layer, or the head.
/// Nodes are in an order in which they can run. value 0 is the input (for the embedding: token ids,
/// 1 column).
struct Block {
  std::string name;  ///< "model.layers.3"; tensors of the block start with it
  std::vector<Value> values;
  std::vector<Node> nodes;
  ValueId output = 0;
};

/// The only description of a model that forward, quant and compile read.
struct Graph {
  model::ModelShape shape;
  Block embedding;
  std::vector<Block> layers;
  Block head;  ///< final norm and the projection to the vocabulary
};

/// `shape` must come from a family's parse function (checked there). Tensor names are the hub's.
Graph BuildGraph(const model::ModelShape& shape);

/// The node that makes `value`, or nullptr for the block's input.
const Node* Producer(const Block& block, ValueId value);
/// All nodes that read `value`.
std::vector<const Node*> Consumers(const Block& block, ValueId value);

}  // namespace tyllm::graph
