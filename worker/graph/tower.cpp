// SPDX-License-Identifier: Apache-2.0
#include "worker/graph/tower.h"

#include <string>
#include <utility>

#include "worker/graph/block_builder.h"

namespace tyllm::graph {

namespace {

constexpr ValueId kInput = BlockBuilder::kInput;

/// The nodes that all of a tower's blocks are made of.
class TowerBlock {
 public:
  TowerBlock(const model::VisionShape& shape, std::string name, std::string input,
             std::int64_t columns)
      : shape_(shape), name_(name), builder_(std::move(name), std::move(input), columns) {}

  ValueId Linear(std::string output, std::int64_t columns, ValueId input, std::string_view module,
                 bool bias = true) {
    const std::string full = Module(module);
    return builder_.Add(Op::kLinear, std::move(output), columns, {input}, full,
                        bias ? full + ".bias" : std::string());
  }

  ValueId Norm(std::string output, std::int64_t columns, ValueId input, std::string_view module) {
    const std::string full = Module(module);
    return shape_.rms_norm
               ? builder_.Add(Op::kRmsNorm, std::move(output), columns, {input}, full + ".weight")
               : builder_.Add(Op::kLayerNorm, std::move(output), columns, {input}, full + ".weight",
                              full + ".bias");
  }

  ValueId Merge(ValueId input) {
    return builder_.Add(Op::kMerge, "merged", shape_.merged_width(), {input});
  }

  ValueId Attention(ValueId hidden, bool windowed) {
    const ValueId normed = Norm("attention_input", shape_.width, hidden, "norm1");
    const ValueId q = builder_.AddAlike(Op::kRope, "q_rotated", {Part("q", 0, normed)});
    const ValueId k = builder_.AddAlike(Op::kRope, "k_rotated", {Part("k", 1, normed)});
    const ValueId v = Part("v", 2, normed);
    const ValueId heads = builder_.AddAlike(windowed ? Op::kWindowAttention : Op::kFrameAttention,
                                            "attention", {q, k, v});
    const ValueId projected = Linear("attention_output", shape_.width, heads, "attn.proj");
    return builder_.AddAlike(Op::kAdd, "attended", {hidden, projected});
  }

  ValueId Mlp(ValueId hidden) {
    const ValueId normed = Norm("mlp_input", shape_.width, hidden, "norm2");
    ValueId inner = Linear("inner", shape_.intermediate, normed, shape_.names.fc1);
    if (shape_.names.up.empty()) {
      inner = builder_.AddAlike(ActivationOp(), "activated", {inner});
    } else {
      const ValueId up = Linear("up", shape_.intermediate, normed, shape_.names.up);
      inner = builder_.AddAlike(Op::kSiluMul, "gated", {inner, up});
    }
    const ValueId down = Linear("mlp_output", shape_.width, inner, shape_.names.fc2);
    return builder_.AddAlike(Op::kAdd, "output", {hidden, down});
  }

  /// The two linear layers of a merger.
  ValueId Project(ValueId merged) {
    const std::int64_t width = shape_.merged_width();
    const ValueId inner = Linear("inner", width, merged, shape_.names.merger_fc1);
    const ValueId activated = builder_.AddAlike(Op::kGelu, "activated", {inner});
    return Linear("tokens", shape_.out_width, activated, shape_.names.merger_fc2);
  }

  BlockBuilder& builder() { return builder_; }

  Block Finish(ValueId output) && { return std::move(builder_).Finish(output); }

 private:
  std::string Module(std::string_view module) const { return name_ + "." + std::string(module); }

  /// One of q, k and v, which share one weight.
  ValueId Part(std::string output, std::int32_t part, ValueId input) {
    const ValueId value = Linear(std::move(output), shape_.width, input, "attn.qkv");
    builder_.TakePart(part, 3);
    return value;
  }

  Op ActivationOp() const {
    switch (shape_.activation) {
      case model::VisionActivation::kGelu:
        return Op::kGelu;
      case model::VisionActivation::kGeluTanh:
        return Op::kGeluTanh;
      case model::VisionActivation::kQuickGelu:
        return Op::kQuickGelu;
      case model::VisionActivation::kSilu:
        break;  // has a gate
    }
    return Op::kSiluMul;
  }

  const model::VisionShape& shape_;
  std::string name_;
  BlockBuilder builder_;
};

Block BuildPatches(const model::VisionShape& shape, const std::string& visual) {
  TowerBlock block(shape, visual, "pixels", shape.patch_values());
  ValueId value =
      block.Linear("patches", shape.width, kInput, "patch_embed.proj", shape.patch_bias);
  if (shape.grid_side > 0) {
    const ValueId places = block.builder().Add(Op::kGridEmbedding, "places", shape.width, {kInput},
                                               visual + ".pos_embed.weight");
    value = block.builder().AddAlike(Op::kAdd, "placed", {value, places});
  }
  if (shape.window > 0) {
    value = block.builder().AddAlike(Op::kToWindows, "windowed", {value});
  }
  return std::move(block).Finish(value);
}

Block BuildLayer(const model::VisionShape& shape, const std::string& visual, std::int64_t layer) {
  TowerBlock block(shape, visual + ".blocks." + std::to_string(layer), "hidden", shape.width);
  const ValueId attended = block.Attention(kInput, shape.IsWindowed(layer));
  return std::move(block).Finish(block.Mlp(attended));
}

Block BuildMerger(const model::VisionShape& shape, const std::string& visual) {
  TowerBlock block(shape, visual + ".merger", "hidden", shape.width);
  const ValueId normed = block.Norm("normed", shape.width, kInput, shape.names.merger_norm);
  ValueId value = block.Project(block.Merge(normed));
  if (shape.window > 0) {
    value = block.builder().AddAlike(Op::kFromWindows, "in_order", {value});
  }
  return std::move(block).Finish(value);
}

/// Other than the merger's, its norm goes over merged rows.
Block BuildDeepstack(const model::VisionShape& shape, const std::string& visual,
                     std::size_t number) {
  TowerBlock block(shape, visual + ".deepstack_merger_list." + std::to_string(number), "hidden",
                   shape.width);
  const ValueId merged = block.Merge(kInput);
  const ValueId normed =
      block.Norm("normed", shape.merged_width(), merged, shape.names.merger_norm);
  return std::move(block).Finish(block.Project(normed));
}

}  // namespace

Tower BuildTower(const model::VisionShape& shape, std::string_view visual) {
  const std::string module(visual);
  Tower tower;
  tower.shape = shape;
  tower.patches = BuildPatches(shape, module);
  for (std::int64_t layer = 0; layer < shape.depth; ++layer) {
    tower.layers.push_back(BuildLayer(shape, module, layer));
  }
  tower.merger = BuildMerger(shape, module);
  for (std::size_t number = 0; number < shape.deepstack.size(); ++number) {
    tower.deepstack.push_back(BuildDeepstack(shape, module, number));
  }
  return tower;
}

}  // namespace tyllm::graph
