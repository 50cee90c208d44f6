// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/onnx/text_graph.h"

#include <cmath>

#include "common/base/version.h"
#include "worker/compile/onnx/graph_nodes.h"

namespace tyllm::compile {
namespace {

using plan::Step;
using plan::StepKind;

/// Follows the steps of a program; every buffer is the name of the value that it holds.
class TextWriter {
 public:
  TextWriter(const plan::Schedule& schedule, std::int64_t dies, WeightTensors& weights,
             onnx::Model& model)
      : schedule_(schedule),
        dies_(dies),
        weights_(weights),
        model_(model),
        nodes_(model),
        values_(schedule.buffers.size()) {}

  Status Write() {
    Inputs();
    for (const plan::SegmentRun& run : schedule_.Runs()) {
      layer_ = run.layer;
      for (const Step& step : run.plan->steps) {
        TYLLM_TRY(Translate(step));
      }
      Collect(*run.plan);
    }
    const std::string& logits = ValueOf(schedule_.logits);
    nodes_.Make("Identity", {logits}, {}, "logits");
    model_.outputs.insert(
        model_.outputs.begin(),
        {"logits", onnx::Type::kFloat, {std::string("tokens"), schedule_.shard.vocabulary.size()}});
    return OkStatus();
  }

 private:
  std::string& ValueOf(plan::BufferId id) { return values_[static_cast<std::size_t>(id)]; }

  void Inputs() {
    const std::string tokens = "tokens";
    if (schedule_.inputs.embeddings) {
      model_.inputs.push_back({"embeddings", onnx::Type::kFloat, {tokens, schedule_.shape.width}});
    } else {
      model_.inputs.push_back({"token_ids", onnx::Type::kInt64, {tokens}});
    }
    model_.inputs.push_back({"positions", onnx::Type::kInt64, {tokens}});
  }

  Status Translate(const Step& step) {
    switch (step.kind) {
      case StepKind::kZero:
        return Zero(step);
      case StepKind::kEmbed:
        return Embed(step);
      case StepKind::kCopyEmbeddings:
        ValueOf(step.output) = "embeddings";
        return OkStatus();
      case StepKind::kCopyRotations:
      case StepKind::kAddDeepstack:
        return Unimplemented(
            "programs of a visual language model's decoder are not written as ONNX");
      case StepKind::kRopeTable:
        return RopeTable(step);
      case StepKind::kAddRmsNorm:
        return AddRmsNorm(step);
      case StepKind::kQuantize:
        ValueOf(step.output) = ValueOf(step.inputs[0]);
        return OkStatus();
      case StepKind::kLinear:
        return Linear(step);
      case StepKind::kHeadRmsNorm:
        return HeadRmsNorm(step);
      case StepKind::kRope:
        return Rope(step);
      case StepKind::kStoreKv:
        return StoreKv(step);
      case StepKind::kAttention:
        return Attention(step);
      case StepKind::kSiluMul:
        return SiluMul(step);
    }
    return Internal("unknown step");
  }

  /// Of the residual: nothing was added to it yet. Of a part of a sum: zeros of its shape.
  Status Zero(const Step& step) {
    const std::string& residual = ValueOf(0);
    ValueOf(step.output) =
        residual.empty() ? std::string() : nodes_.Make("Sub", {residual, residual});
    return OkStatus();
  }

  Status Embed(const Step& step) {
    TYLLM_ASSIGN(const std::string table, weights_.Add(step.weights[0], layer_));
    const plan::Range rows = schedule_.shard.vocabulary;
    if (rows.size() == schedule_.shape.vocabulary) {
      ValueOf(step.output) = nodes_.Cast(nodes_.Gather(table, "token_ids", 0), onnx::Type::kFloat);
      return OkStatus();
    }
    const std::string own = nodes_.Make("Sub", {"token_ids", nodes_.Integer(rows.begin)});
    const std::string inside =
        nodes_.Make("Clip", {own, nodes_.Integer(0), nodes_.Integer(rows.size() - 1)});
    const std::string is_own =
        nodes_.Unsqueeze(nodes_.Cast(nodes_.Make("Equal", {own, inside}), onnx::Type::kFloat), 1);
    const std::string found = nodes_.Cast(nodes_.Gather(table, inside, 0), onnx::Type::kFloat);
    ValueOf(step.output) = nodes_.Multiply(found, is_own);
    return OkStatus();
  }

  Status RopeTable(const Step& step) {
    TYLLM_ASSIGN(const std::string frequencies, weights_.Add(step.weights[0], layer_));
    const std::string positions = nodes_.Unsqueeze(nodes_.Cast("positions", onnx::Type::kFloat), 1);
    const std::string angles = nodes_.Multiply(positions, frequencies);
    cosines_ = nodes_.Unsqueeze(nodes_.Make("Cos", {angles}), 1);  // [tokens, 1, half]
    sines_ = nodes_.Unsqueeze(nodes_.Make("Sin", {angles}), 1);
    return OkStatus();
  }

  Status AddRmsNorm(const Step& step) {
    TYLLM_ASSIGN(const std::string weight, weights_.Add(step.weights[0], layer_));
    std::string& residual = ValueOf(step.inputs[0]);
    const std::string& partial = ValueOf(step.inputs[1]);
    residual = residual.empty() ? partial : nodes_.Add(residual, partial);
    ValueOf(step.output) = nodes_.RmsNorm(residual, weight, schedule_.shape.norm_epsilon);
    return OkStatus();
  }

  Status Linear(const Step& step) {
    TYLLM_ASSIGN(const std::string name, weights_.Add(step.weights[0], layer_));
    const plan::Weight& weight = weights_.WeightOf(step.weights[0], layer_);
    const std::string matrix =
        weight.kind == plan::WeightKind::kInt4
            ? nodes_.Dequantize(name, weight.rows.size(), weight.columns.size(), weight.group)
            : nodes_.Cast(name, onnx::Type::kFloat);
    std::string& output = ValueOf(step.output);
    output = nodes_.Make("MatMul", {ValueOf(step.inputs[0]), nodes_.Transpose(matrix, {1, 0})});
    if (step.weights.size() > 1) {
      TYLLM_ASSIGN(const std::string bias, weights_.Add(step.weights[1], layer_));
      output = nodes_.Add(output, bias);
    }
    return OkStatus();
  }

  /// [tokens, columns] as heads, and back.
  std::string Heads(const std::string& value) {
    return nodes_.Reshape(value, {0, -1, schedule_.shape.head_size});
  }

  std::string Flat(const std::string& heads, plan::BufferId buffer) {
    return nodes_.Reshape(heads, {-1, schedule_.buffers[static_cast<std::size_t>(buffer)].columns});
  }

  Status HeadRmsNorm(const Step& step) {
    TYLLM_ASSIGN(const std::string weight, weights_.Add(step.weights[0], layer_));
    const std::string normed =
        nodes_.RmsNorm(Heads(ValueOf(step.inputs[0])), weight, schedule_.shape.norm_epsilon);
    ValueOf(step.output) = Flat(normed, step.output);
    return OkStatus();
  }

  Status Rope(const Step& step) {
    const std::vector<std::string> halves = nodes_.Split(Heads(ValueOf(step.inputs[0])), -1, 2);
    const std::string low = nodes_.Make(
        "Sub", {nodes_.Multiply(halves[0], cosines_), nodes_.Multiply(halves[1], sines_)});
    const std::string high =
        nodes_.Add(nodes_.Multiply(halves[1], cosines_), nodes_.Multiply(halves[0], sines_));
    ValueOf(step.output) = Flat(nodes_.Concat({low, high}, -1), step.output);
    return OkStatus();
  }

  /// The cache with the new tokens behind it, [kv_heads, all tokens, head_size].
  std::string Cached(const std::string& kind, const std::string& value) {
    const std::string number = "." + std::to_string(layer_);
    const std::string past = "past_" + kind + number;
    const std::string present = "present_" + kind + number;
    const std::vector<std::int64_t> order{1, 0, 2};
    const plan::AttentionShape& a = schedule_.attention;
    nodes_.Make("Concat", {past, nodes_.Transpose(Heads(value), order)},
                {{"axis", std::int64_t{1}}}, present);
    model_.inputs.push_back(
        {past, onnx::Type::kFloat, {a.kv_heads, std::string("history"), a.head_size}});
    model_.outputs.push_back(
        {present, onnx::Type::kFloat, {a.kv_heads, std::string("all"), a.head_size}});
    return present;
  }

  Status StoreKv(const Step& step) {
    keys_ = Cached("key", ValueOf(step.inputs[0]));
    cached_ = Cached("value", ValueOf(step.inputs[1]));
    return OkStatus();
  }

  /// 0 where a token may look, far below where it may not: [tokens, all tokens]. The same for all
  /// layers.
  const std::string& Mask() {
    if (mask_.empty()) {
      const std::string all = nodes_.Gather(nodes_.Make("Shape", {keys_}), nodes_.Integer(1), 0);
      const std::string places = nodes_.Make("Range", {nodes_.Integer(0), all, nodes_.Integer(1)});
      const std::string later =
          nodes_.Make("Greater", {nodes_.Unsqueeze(places, 0), nodes_.Unsqueeze("positions", 1)});
      mask_ = nodes_.Multiply(nodes_.Cast(later, onnx::Type::kFloat), nodes_.Float(-1e30F));
    }
    return mask_;
  }

  Status Attention(const Step& step) {
    const plan::AttentionShape& a = schedule_.attention;
    std::vector<std::int64_t> kv_of;
    for (std::int64_t head = 0; head < a.heads; ++head) {
      kv_of.push_back((a.first_head + head) / a.queries_per_kv);
    }
    const std::string index = nodes_.Integers(kv_of);
    const std::string queries = nodes_.Transpose(Heads(ValueOf(step.inputs[0])), {1, 0, 2});
    const std::string keys = nodes_.Transpose(nodes_.Gather(keys_, index, 0), {0, 2, 1});
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(a.head_size)));
    const std::string scores = nodes_.Add(
        nodes_.Multiply(nodes_.Make("MatMul", {queries, keys}), nodes_.Float(scale)), Mask());
    const std::string shares = nodes_.Make("Softmax", {scores}, {{"axis", std::int64_t{-1}}});
    const std::string mixed = nodes_.Make("MatMul", {shares, nodes_.Gather(cached_, index, 0)});
    ValueOf(step.output) = Flat(nodes_.Transpose(mixed, {1, 0, 2}), step.output);
    return OkStatus();
  }

  Status SiluMul(const Step& step) {
    const std::string& gate = ValueOf(step.inputs[0]);
    const std::string silu = nodes_.Multiply(gate, nodes_.Make("Sigmoid", {gate}));
    ValueOf(step.output) = nodes_.Multiply(silu, ValueOf(step.inputs[1]));
    return OkStatus();
  }

  /// What the dies do together after a segment.
  void Collect(const plan::SegmentPlan& segment) {
    if (segment.after != die::Collective::kAllReduceSum || dies_ == 1) {
      return;
    }
    std::string& value = ValueOf(segment.collective);
    value = nodes_.Make("AllReduceSum", {value}, {{"group", segment.group}}, {}, kDieDomain);
    model_.domains[kDieDomain] = 1;
  }

  const plan::Schedule& schedule_;
  std::int64_t dies_;
  WeightTensors& weights_;
  onnx::Model& model_;
  GraphNodes nodes_;
  std::vector<std::string> values_;  ///< [buffers]
  std::string cosines_;
  std::string sines_;
  std::string keys_;
  std::string cached_;
  std::string mask_;
  std::int64_t layer_ = -1;
};

}  // namespace

Result<onnx::Model> TextGraph(const plan::Schedule& schedule, std::int64_t dies,
                              WeightTensors& weights) {
  onnx::Model model;
  model.name = schedule.shape.family;
  model.producer = "tyllm";
  model.producer_version = Version();
  model.documentation =
      "One die's part of a text model, as `tyllm compile` cut it; activations in float32.";
  TYLLM_TRY(TextWriter(schedule, dies, weights, model).Write());
  std::vector<onnx::Tensor> tensors = weights.Take();
  model.initializers.insert(model.initializers.end(), std::make_move_iterator(tensors.begin()),
                            std::make_move_iterator(tensors.end()));
  return model;
}

}  // namespace tyllm::compile
