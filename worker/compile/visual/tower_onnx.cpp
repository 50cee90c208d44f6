// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/visual/tower_onnx.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "common/base/version.h"
#include "worker/compile/half_rows.h"
#include "worker/compile/onnx/graph_nodes.h"
#include "worker/onnx/data_file.h"

namespace tyllm::compile {

namespace {

using plan::TowerInputKind;
using plan::TowerSchedule;
using plan::TowerStep;
using plan::TowerStepKind;
using plan::TowerWeight;

constexpr const char* kDieDomain = "ai.tyllm.die";

/// A value of the graph and its shape.
struct Rows {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

onnx::Type TypeOf(plan::TowerElement element) {
  switch (element) {
    case plan::TowerElement::kFloat16:
      return onnx::Type::kFloat16;
    case plan::TowerElement::kFloat32:
      return onnx::Type::kFloat;
    case plan::TowerElement::kInt32:
      break;
  }
  return onnx::Type::kInt32;
}

/// Translates a schedule step by step; buffers are names of values.
class TowerGraph {
 public:
  TowerGraph(const model::Checkpoint& checkpoint, const TowerSchedule& schedule, std::int64_t die,
             onnx::DataFile& data)
      : checkpoint_(checkpoint),
        schedule_(schedule),
        die_(die),
        data_(data),
        nodes_(model_),
        values_(schedule.buffers.size()) {}

  Result<onnx::Model> Translate() && {
    Frame();
    for (const plan::TowerBlockRun& run : schedule_.runs) {
      const plan::TowerBlockKind& kind = schedule_.kinds[static_cast<std::size_t>(run.kind)];
      TYLLM_TRY(AddWeights(run, kind));
      for (const plan::TowerSegment& segment : kind.segments) {
        for (const TowerStep& step : segment.steps) {
          TYLLM_TRY(Translate(run, kind, step));
        }
        Sum(segment);
      }
      if (run.features >= 0) {
        nodes_.Make("Identity", {ValueOf(plan::kFeaturesBuffer).name}, {},
                    OutputName(run.features));
      }
    }
    TYLLM_TRY(onnx::CheckOrder(model_));
    return std::move(model_);
  }

 private:
  static std::string OutputName(std::int64_t features) {
    return features == 0 ? "tokens" : "deepstack_" + std::to_string(features - 1);
  }

  static std::string InputName(TowerInputKind kind) {
    return std::string(plan::kTowerInputNames.Name(kind));
  }

  void Frame() {
    model_.name = "vit_die" + std::to_string(die_);
    model_.producer = "tyllm";
    model_.producer_version = std::string(Version());
    if (schedule_.dies > 1) {
      model_.domains[kDieDomain] = 1;
    }
    for (const plan::TowerInput& input : schedule_.inputs) {
      model_.inputs.push_back(
          {InputName(input.kind), TypeOf(input.element), {input.shape.begin(), input.shape.end()}});
    }
    for (std::int64_t i = 0; i < schedule_.outputs(); ++i) {
      model_.outputs.push_back(
          {OutputName(i), onnx::Type::kFloat, {schedule_.tokens(), schedule_.shape.out_width}});
    }
  }

  Rows& ValueOf(plan::TowerBufferId id) { return values_[static_cast<std::size_t>(id)]; }

  /// A buffer seen as rows of `columns`.
  std::string View(plan::TowerBufferId id, std::int64_t rows, std::int64_t columns) {
    Rows& value = ValueOf(id);
    return value.rows == rows && value.columns == columns
               ? value.name
               : nodes_.Reshape(value.name, {rows, columns});
  }

  static std::string Full(const plan::TowerBlockRun& run, const TowerWeight& weight) {
    return run.name + "." + weight.name;
  }

  Status AddWeights(const plan::TowerBlockRun& run, const plan::TowerBlockKind& kind) {
    for (const TowerWeight& weight : kind.weights) {
      TYLLM_TRY(weight.is_matrix ? AddMatrix(run, weight) : AddVector(run, weight));
    }
    checkpoint_.Forget(run.name + ".");
    return OkStatus();
  }

  Status AddMatrix(const plan::TowerBlockRun& run, const TowerWeight& weight) {
    TYLLM_ASSIGN(const HalfRows rows,
                 HalfRows::OpenTensor(checkpoint_, run.name + "." + weight.tensor));
    TYLLM_TRY(data_.Begin(Full(run, weight), onnx::Type::kFloat16,
                          {weight.rows.size(), weight.columns.size()}));
    std::vector<std::uint16_t> row(static_cast<std::size_t>(weight.columns.size()));
    for (std::int64_t r = weight.rows.begin; r < weight.rows.end; ++r) {
      TYLLM_TRY(rows.Read(r, weight.columns.begin, row));
      TYLLM_TRY(data_.Append(std::as_bytes(std::span(row))));
    }
    TYLLM_ASSIGN(onnx::Tensor tensor, data_.End());
    model_.initializers.push_back(std::move(tensor));
    return OkStatus();
  }

  Status AddVector(const plan::TowerBlockRun& run, const TowerWeight& weight) {
    TYLLM_ASSIGN(std::vector<float> all, checkpoint_.ReadFloats(run.name + "." + weight.tensor));
    std::vector<float> part(all.begin() + weight.rows.begin, all.begin() + weight.rows.end);
    if (weight.once && die_ != 0) {
      part.assign(part.size(), 0.0F);
    }
    TYLLM_TRY(data_.Begin(Full(run, weight), onnx::Type::kFloat, {weight.rows.size()}));
    TYLLM_TRY(data_.Append(std::as_bytes(std::span(part))));
    TYLLM_ASSIGN(onnx::Tensor tensor, data_.End());
    model_.initializers.push_back(std::move(tensor));
    return OkStatus();
  }

  /// A block's weight, by its place in a step.
  static const TowerWeight& WeightOf(const plan::TowerBlockKind& kind, const TowerStep& step,
                                     std::size_t i) {
    return kind.weights[static_cast<std::size_t>(step.weights[i])];
  }

  Status Translate(const plan::TowerBlockRun& run, const plan::TowerBlockKind& kind,
                   const TowerStep& step) {
    const auto set = [&](std::string name, std::int64_t columns) {
      ValueOf(step.output) = {std::move(name), step.rows, columns};
    };
    const auto weight = [&](std::size_t i) { return Full(run, WeightOf(kind, step, i)); };
    switch (step.kind) {
      case TowerStepKind::kZero:
        set(nodes_.Make("Expand", {nodes_.Float(0), nodes_.Integers({step.rows, step.columns})}),
            step.columns);
        break;
      case TowerStepKind::kFirstLinear:
      case TowerStepKind::kLinear:
        set(Linear(run, kind, step), WeightOf(kind, step, 0).rows.size());
        break;
      case TowerStepKind::kLayerNorm:
        set(nodes_.Make(
                "LayerNormalization",
                {View(step.inputs[0], step.rows, step.columns), weight(0), weight(1)},
                {{"axis", std::int64_t{-1}}, {"epsilon", model::VisionShape::kNormEpsilon}}),
            step.columns);
        break;
      case TowerStepKind::kRmsNorm:
        set(nodes_.RmsNorm(View(step.inputs[0], step.rows, step.columns), weight(0),
                           model::VisionShape::kNormEpsilon),
            step.columns);
        break;
      case TowerStepKind::kRope:
        set(Rope(ValueOf(step.inputs[0]).name), step.columns);
        break;
      case TowerStepKind::kPackRuns:
        keys_ = ValueOf(step.inputs[0]).name;
        cached_ = ValueOf(step.inputs[1]).name;
        break;
      case TowerStepKind::kAttendRuns:
        set(Attention(ValueOf(step.inputs[0]).name, step.table), step.columns);
        break;
      case TowerStepKind::kSiluMul:
        set(nodes_.Multiply(Swish(ValueOf(step.inputs[0]).name, 1.0F),
                            ValueOf(step.inputs[1]).name),
            ValueOf(step.inputs[0]).columns);
        break;
      case TowerStepKind::kGelu:
      case TowerStepKind::kGeluTanh:
      case TowerStepKind::kQuickGelu:
        set(Gelu(step.kind, ValueOf(step.inputs[0]).name), ValueOf(step.inputs[0]).columns);
        break;
      case TowerStepKind::kAdd:
        set(nodes_.Add(ValueOf(step.inputs[0]).name, ValueOf(step.inputs[1]).name), step.columns);
        break;
      case TowerStepKind::kAddPlaces:
        set(nodes_.Add(ValueOf(step.inputs[0]).name,
                       nodes_.Cast(InputName(TowerInputKind::kPlaces), onnx::Type::kFloat)),
            step.columns);
        break;
      case TowerStepKind::kGather:
        set(nodes_.Gather(ValueOf(step.inputs[0]).name, InputName(step.table), 0), step.columns);
        break;
    }
    return OkStatus();
  }

  std::string Linear(const plan::TowerBlockRun& run, const plan::TowerBlockKind& kind,
                     const TowerStep& step) {
    const TowerWeight& matrix = WeightOf(kind, step, 0);
    std::string x;
    if (step.kind == TowerStepKind::kFirstLinear) {
      const std::string pixels =
          nodes_.Cast(InputName(TowerInputKind::kPixels), onnx::Type::kFloat);
      x = nodes_.Make("Slice", {pixels, nodes_.Integers({matrix.columns.begin}),
                                nodes_.Integers({matrix.columns.end}), nodes_.Integers({1})});
    } else {
      x = View(step.inputs[0], step.rows, matrix.columns.size());
    }
    const std::string weight =
        nodes_.Transpose(nodes_.Cast(Full(run, matrix), onnx::Type::kFloat), {1, 0});
    const std::string product = nodes_.Make("MatMul", {x, weight});
    return step.weights.size() > 1 ? nodes_.Add(product, Full(run, WeightOf(kind, step, 1)))
                                   : product;
  }

  /// [patches, heads * size] as [patches, heads, size].
  std::string Heads(const std::string& x) {
    return nodes_.Reshape(x, {schedule_.patches(), schedule_.heads(), schedule_.shape.head_size()});
  }

  std::string Rope(const std::string& x) {
    if (angles_.empty()) {
      for (const std::string& half : nodes_.Split(InputName(TowerInputKind::kRotations), 1, 2)) {
        angles_.push_back(nodes_.Unsqueeze(half, 1));
      }
    }
    const std::vector<std::string> halves = nodes_.Split(Heads(x), 2, 2);
    const auto times = [&](std::size_t half, std::size_t angle) {
      return nodes_.Multiply(halves[half], angles_[angle]);
    };
    const std::string low = nodes_.Make("Sub", {times(0, 0), times(1, 1)});
    const std::string high = nodes_.Add(times(1, 0), times(0, 1));
    return nodes_.Reshape(nodes_.Concat({low, high}, 2),
                          {schedule_.patches(), schedule_.heads() * schedule_.shape.head_size()});
  }

  /// Whether patch i sees patch j: [patches, patches], once for frames and once for windows.
  const std::string& Sees(TowerInputKind ends) {
    std::string& mask = masks_[ends];
    if (mask.empty()) {
      const std::string patches = nodes_.Unsqueeze(
          nodes_.Make("Range",
                      {nodes_.Integer(0), nodes_.Integer(schedule_.patches()), nodes_.Integer(1)}),
          1);
      const std::string all = nodes_.Unsqueeze(nodes_.Cast(InputName(ends), onnx::Type::kInt64), 0);
      const std::string behind = nodes_.Make("GreaterOrEqual", {patches, all});
      const std::string run =
          nodes_.Make("ReduceSum", {nodes_.Cast(behind, onnx::Type::kInt64), nodes_.Integers({1})},
                      {{"keepdims", std::int64_t{1}}});
      mask = nodes_.Make("Equal", {run, nodes_.Transpose(run, {1, 0})});
    }
    return mask;
  }

  std::string Attention(const std::string& queries, TowerInputKind ends) {
    const std::string q = nodes_.Transpose(Heads(queries), {1, 0, 2});
    const std::string k = nodes_.Transpose(Heads(keys_), {1, 2, 0});
    const std::string v = nodes_.Transpose(Heads(cached_), {1, 0, 2});
    const auto size = static_cast<float>(schedule_.shape.head_size());
    const std::string scores =
        nodes_.Multiply(nodes_.Make("MatMul", {q, k}), nodes_.Float(1.0F / std::sqrt(size)));
    const std::string seen = nodes_.Make("Where", {Sees(ends), scores, nodes_.Float(-1e30F)});
    const std::string weights = nodes_.Make("Softmax", {seen}, {{"axis", std::int64_t{-1}}});
    return nodes_.Reshape(nodes_.Transpose(nodes_.Make("MatMul", {weights, v}), {1, 0, 2}),
                          {schedule_.patches(), schedule_.heads() * schedule_.shape.head_size()});
  }

  /// x * sigmoid(factor * x)
  std::string Swish(const std::string& x, float factor) {
    const std::string inner = factor == 1.0F ? x : nodes_.Multiply(x, nodes_.Float(factor));
    return nodes_.Multiply(x, nodes_.Make("Sigmoid", {inner}));
  }

  std::string Gelu(TowerStepKind kind, const std::string& x) {
    if (kind == TowerStepKind::kQuickGelu) {
      return Swish(x, 1.702F);
    }
    std::string curve;
    if (kind == TowerStepKind::kGelu) {
      curve = nodes_.Make("Erf", {nodes_.Multiply(x, nodes_.Float(std::sqrt(0.5F)))});
    } else {
      const std::string cube = nodes_.Multiply(nodes_.Multiply(x, x), x);
      const std::string inner = nodes_.Add(x, nodes_.Multiply(cube, nodes_.Float(0.044715F)));
      curve = nodes_.Make("Tanh", {nodes_.Multiply(inner, nodes_.Float(0.7978845608F))});
    }
    return nodes_.Multiply(nodes_.Multiply(x, nodes_.Float(0.5F)),
                           nodes_.Add(curve, nodes_.Float(1.0F)));
  }

  void Sum(const plan::TowerSegment& segment) {
    if (segment.after == die::Collective::kAllReduceSum && schedule_.dies > 1) {
      Rows& value = ValueOf(segment.collective);
      value.name =
          nodes_.Make("AllReduceSum", {value.name}, {{"group", schedule_.dies}}, {}, kDieDomain);
    }
  }

  const model::Checkpoint& checkpoint_;
  const TowerSchedule& schedule_;
  std::int64_t die_;
  onnx::DataFile& data_;
  onnx::Model model_;
  GraphNodes nodes_;
  std::vector<Rows> values_;  ///< [buffers]
  std::string keys_;          ///< what kPackRuns packed last
  std::string cached_;
  std::vector<std::string> angles_;
  std::map<TowerInputKind, std::string> masks_;
};

}  // namespace

Status WriteTowerOnnx(FileSystem& files, const model::Checkpoint& checkpoint,
                      const TowerSchedule& schedule, std::int64_t die, const Path& path) {
  Path data_path = path;
  data_path += ".data";
  TYLLM_ASSIGN(onnx::DataFile data, onnx::DataFile::Create(files, data_path));
  TYLLM_ASSIGN(const onnx::Model model, TowerGraph(checkpoint, schedule, die, data).Translate());
  TYLLM_TRY(data.Finish());
  return onnx::WriteModel(files, path, model);
}

}  // namespace tyllm::compile
