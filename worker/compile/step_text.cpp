// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/step_text.h"

#include <algorithm>

#include "worker/compile/names.h"
#include "worker/die/tile.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::compile {
namespace {

using plan::Step;
using plan::StepKind;
using plan::StepRows;

std::string Number(std::int64_t value) {
  return std::to_string(value);
}

/// "  Name<a, b>(x, y);"
std::string Call(const std::string& function, const std::vector<std::string>& shape,
                 const std::vector<std::string>& arguments) {
  std::string text = "  " + function + (shape.empty() ? "" : "<");
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + shape[i];
  }
  text += shape.empty() ? "(" : ">(";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    text += (i == 0 ? "" : ", ") + arguments[i];
  }
  return text + ");\n";
}

/// What multiplies with a matrix.
struct Kernel {
  const char* name = "";
  std::vector<std::string> shape;  ///< behind rows and columns
  bool takes_floats = false;       ///< or else activations
};

Kernel KernelOf(const plan::Weight& weight) {
  switch (weight.kind) {
    case plan::WeightKind::kInt4:
      return {"Linear4", {Number(weight.group)}, false};
    case plan::WeightKind::kInt8:
      return {"Linear8", {Number(weight.group)}, false};
    case plan::WeightKind::kHalf:
      return {"LinearF16", {}, true};
    case plan::WeightKind::kHalfIn12:
      return {"LinearF16In12", {Number(weight.exceptions)}, true};
    case plan::WeightKind::kVector:
    case plan::WeightKind::kFrequencies:
      break;  // no matrices
  }
  return {};
}

}  // namespace

ScheduleNames::ScheduleNames(const plan::Schedule& schedule) {
  NameScope scope;
  for (const plan::Buffer& buffer : schedule.buffers) {
    buffers_.push_back(scope.Add(buffer.name + "_at"));
  }
  for (const plan::Weight& weight : schedule.weights) {
    weights_.push_back(scope.Add(weight.name));
  }
  for (const plan::LayerKind& kind : schedule.layer_kinds) {
    std::vector<std::string>& names = layer_weights_.emplace_back();
    for (const plan::Weight& weight : kind.weights) {
      names.push_back(scope.Add(weight.name));
    }
  }
}

const std::string& ScheduleNames::Weight(plan::WeightId id, std::int32_t kind) const {
  const auto index = static_cast<std::size_t>(id);
  return index < weights_.size()
             ? weights_[index]
             : layer_weights_[static_cast<std::size_t>(kind)][index - weights_.size()];
}

std::string ScheduleNames::Function(std::string_view segment, std::string_view phase,
                                    std::size_t kind) const {
  return FunctionName(std::string(segment) + " " + std::string(phase)) +
         (kind == 0 ? "" : std::to_string(kind + 1));
}

std::string ScheduleNames::Table(std::string_view segment, std::size_t kind) const {
  return ConstantName(std::string(segment) + " phases") +
         (kind == 0 ? "" : std::to_string(kind + 1));
}

std::string StepWriter::Write(std::span<const Step> phase) const {
  std::string text;
  for (const Step& step : phase) {
    text += Write(step, BlockSlice(phase, step));
  }
  return text;
}

std::string StepWriter::Fetch(std::span<const Step> phase) const {
  std::string text;
  for (const Step& step : phase) {
    if (step.kind == StepKind::kLinear) {
      const plan::Weight& weight = schedule_.WeightOf(step.weights[0], kind_);
      text += Call("FetchBlocks", {std::to_string(plan::RowBlockBytes(weight))},
                   {"Packed(die, " + Binding(step.weights[0]) + ")", BlockSlice(phase, step)});
    } else if (step.kind == StepKind::kStoreKv) {
      text += Call("FetchNewKeys", {}, {History(), "Cache(die, layer)", "part.Of(kKvHeads)"});
    } else if (step.kind == StepKind::kAttention) {
      text += Call("FetchCache", {"kHeads"},
                   {"Cache(die, layer)", "kKvOf", History(), Tokens(step), "part"});
    }
  }
  return text;
}

std::string StepWriter::Write(const Step& step, const std::string& blocks) const {
  switch (step.kind) {
    case StepKind::kZero:
      return Zero(step);
    case StepKind::kEmbed:
      return Embed(step);
    case StepKind::kCopyEmbeddings:
      return CopyEmbeddings(step);
    case StepKind::kCopyRotations:
      return Call("CopyRows", {"kHeadSize"}, {"die.rotations", TokenSlice(step), At(step.output)});
    case StepKind::kAddDeepstack:
      return AddDeepstack(step);
    case StepKind::kRopeTable:
      return RopeTable(step);
    case StepKind::kAddRmsNorm:
      return AddRmsNorm(step);
    case StepKind::kQuantize:
      return Quantize(step);
    case StepKind::kLinear:
      return Linear(step, blocks);
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
  return {};
}

std::string StepWriter::Zero(const Step& step) const {
  return Call("Zero", {Columns(step.output)}, {TokenSlice(step), At(step.output)});
}

std::string StepWriter::Embed(const Step& step) const {
  const plan::Weight& table = schedule_.WeightOf(step.weights[0], kind_);
  const bool in_12 = table.kind == plan::WeightKind::kHalfIn12;
  std::vector<std::string> shape{"kVocabulary", "kWidth"};
  if (in_12) {
    shape.push_back(Number(table.exceptions));
  }
  return "  std::int32_t range[2];\n"
         "  std::memcpy(range, Table(die, kVocabularyRange), sizeof(range));\n" +
         Call(in_12 ? "EmbedIn12" : "Embed", shape,
              {"Packed(die, " + Binding(step.weights[0]) + ")", "range[0]", "die.token_ids",
               TokenSlice(step), At(step.output)});
}

std::string StepWriter::CopyEmbeddings(const Step& step) const {
  return Call("CopyRows", {"kWidth"}, {"die.embeddings", TokenSlice(step), At(step.output)});
}

std::string StepWriter::AddDeepstack(const Step& step) const {
  const bool last = step.rows == StepRows::kLast;  // of the head, which has no `layer`
  const std::string own = TokenSlice(step);
  return Call(
      "AddDeepstack", {"kWidth", Number(schedule_.inputs.deepstack)},
      {"die", layer_ ? "layer" : "kLayers",
       last ? "{die.tokens - 1 + " + own + ".begin, die.tokens - 1 + " + own + ".end}" : own,
       At(step.output)});
}

std::string StepWriter::RopeTable(const Step& step) const {
  return Call("RopeTable", {"kHeadSize"},
              {"reinterpret_cast<const float*>(Table(die, " + Binding(step.weights[0]) + "))",
               History(), TokenSlice(step), At(step.output)});
}

std::string StepWriter::AddRmsNorm(const Step& step) const {
  const bool last = step.rows == StepRows::kLast;
  const std::string row = last ? " + last" : "";
  const std::string residual = At(step.inputs[0]) + row;
  return (last ? std::string("  const std::size_t last = (die.tokens - 1) * std::size_t{kWidth};\n")
               : std::string()) +
         Call("AddRows", {"kWidth"}, {At(step.inputs[1]) + row, TokenSlice(step), residual}) +
         Call("RmsNorm", {"kWidth"},
              {residual, "Vector(die, " + Binding(step.weights[0]) + ")", "kEpsilon",
               TokenSlice(step), At(step.output)});
}

std::string StepWriter::Quantize(const Step& step) const {
  const std::string columns = Columns(step.inputs[0]);
  std::vector<std::string> shape{columns, Number(BufferOf(step.output).group)};
  const bool bytes = AsBytes(step.output);
  if (!bytes) {
    shape.push_back(Number(schedule_.activation_bits));
  }
  return Call(bytes ? "QuantizeToBytes" : "QuantizeActivations", shape,
              {At(step.inputs[0]), columns, TokenSlice(step), Activations(step.output)});
}

std::string StepWriter::Linear(const Step& step, const std::string& blocks) const {
  const plan::Weight& weight = schedule_.WeightOf(step.weights[0], kind_);
  const std::string rows = Number(weight.rows.size());
  const std::string columns = Number(weight.columns.size());
  const std::string packed = "Packed(die, " + Binding(step.weights[0]) + ")";
  const Kernel kernel = KernelOf(weight);
  std::vector<std::string> shape{rows, columns};
  shape.insert(shape.end(), kernel.shape.begin(), kernel.shape.end());
  if (weight.kind == plan::WeightKind::kInt4 && AsBytes(step.inputs[0])) {
    shape.push_back("8");
  }
  std::string text =
      Call(kernel.name, shape,
           {packed, kernel.takes_floats ? At(step.inputs[0]) : Activations(step.inputs[0]),
            Tokens(step), At(step.output), blocks});
  if (step.weights.size() > 1) {
    text += Call(
        "AddBias", {rows},
        {"Vector(die, " + Binding(step.weights[1]) + ")", Tokens(step), At(step.output), blocks});
  }
  return text;
}

std::string StepWriter::HeadRmsNorm(const Step& step) const {
  const std::int64_t columns = BufferOf(step.output).columns;
  const std::string heads = Number(columns / schedule_.attention.head_size);
  return Call("HeadRmsNorm", {heads, "kHeadSize"},
              {At(step.output), Number(columns), "Vector(die, " + Binding(step.weights[0]) + ")",
               "kEpsilon", Tokens(step), "part.Of(" + heads + ")"});
}

std::string StepWriter::Rope(const Step& step) const {
  const std::int64_t columns = BufferOf(step.output).columns;
  const std::string heads = Number(columns / schedule_.attention.head_size);
  return Call("Rope", {heads, "kHeadSize"},
              {At(step.output), Number(columns), At(step.inputs[1]), Tokens(step),
               "part.Of(" + heads + ")"});
}

std::string StepWriter::StoreKv(const Step& step) const {
  return Call("WriteKv", {},
              {At(step.inputs[0]), At(step.inputs[1]), "kKvHeads * kHeadSize", History(),
               Tokens(step), "Cache(die, layer)", "part.Of(kKvHeads)"});
}

std::string StepWriter::Attention(const Step& step) const {
  return Call("Attention", {"kHeads"},
              {At(step.inputs[0]), "kHeads * kHeadSize", "Cache(die, layer)", "kKvOf", History(),
               Tokens(step), At(step.inputs[1]), At(step.output), "part"});
}

std::string StepWriter::SiluMul(const Step& step) const {
  return Call("SiluMul", {Columns(step.output)},
              {At(step.inputs[0]), At(step.inputs[1]), TokenSlice(step), At(step.output)});
}

bool StepWriter::AsBytes(plan::BufferId activations) const {
  constexpr int kByteBits = 8;
  const auto widened = [&](const Step& step) {  // products with int8 weights take int16
    return step.kind == StepKind::kLinear && step.inputs[0] == activations &&
           schedule_.WeightOf(step.weights[0], kind_).kind == plan::WeightKind::kInt8;
  };
  return schedule_.activation_bits == kByteBits &&
         std::none_of(schedule_.head.steps.begin(), schedule_.head.steps.end(), widened);
}

std::int64_t StepWriter::BlocksOf(const Step& step) const {
  return die::BlocksOf(
             static_cast<std::uint32_t>(schedule_.WeightOf(step.weights[0], kind_).rows.size()))
      .end;
}

std::string StepWriter::BlockSlice(std::span<const Step> phase, const Step& step) const {
  if (step.kind != StepKind::kLinear) {
    return {};
  }
  std::int64_t before = 0;
  std::int64_t all = 0;
  for (const Step& other : phase) {
    before += &other < &step ? BlocksOf(other) : 0;
    all += BlocksOf(other);
  }
  return all == BlocksOf(step) ? "part.Of(" + Number(all) + ")"
                               : "part.Within({" + Number(before) + ", " +
                                     Number(before + BlocksOf(step)) + "}, " + Number(all) + ")";
}

std::string StepWriter::Tokens(const Step& step) {
  return step.rows == StepRows::kTokens ? "die.tokens" : "1";
}

std::string StepWriter::TokenSlice(const Step& step) {
  return "part.Of(" + Tokens(step) + ")";
}

std::string StepWriter::Columns(plan::BufferId id) const {
  return Number(BufferOf(id).columns);
}

std::string StepWriter::At(plan::BufferId id) const {
  return "At(die, " + names_.Buffer(id) + ")";
}

std::string StepWriter::Activations(plan::BufferId id) const {
  const plan::Buffer& buffer = BufferOf(id);
  return "ActivationsAt<" + Number(buffer.columns) + ", " + Number(buffer.group) +
         ">(die.arena + " + names_.Buffer(id) + ", " + Number(buffer.rows) + ")";
}

std::string StepWriter::Binding(plan::WeightId id) const {
  const bool in_layer = id >= std::ssize(schedule_.weights);
  return (in_layer ? "first + " : "") + names_.Weight(id, kind_);
}

std::string StepWriter::History() const {
  return plan::TakesHistory(schedule_.program.kind) ? "die.history" : "0";
}

}  // namespace tyllm::compile
