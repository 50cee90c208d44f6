// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/tower_translator.h"

#include <algorithm>
#include <utility>

#include "worker/die/attention.h"

namespace tyllm::plan {

using graph::Node;
using graph::Op;
using graph::ValueId;

namespace {

TowerStepKind ActivationOf(Op op) {
  return op == Op::kGelu       ? TowerStepKind::kGelu
         : op == Op::kGeluTanh ? TowerStepKind::kGeluTanh
         : op == Op::kSiluMul  ? TowerStepKind::kSiluMul
                               : TowerStepKind::kQuickGelu;
}

bool IsActivation(Op op) {
  return op == Op::kGelu || op == Op::kGeluTanh || op == Op::kQuickGelu || op == Op::kSiluMul;
}

bool Has(const std::vector<TowerStep>& steps, TowerStepKind kind) {
  return std::ranges::any_of(steps, [&](const TowerStep& s) { return s.kind == kind; });
}

std::string SegmentName(const std::vector<TowerStep>& steps, const std::string& kind) {
  const bool is_layer = kind.ends_with("layer");
  if (!is_layer) {
    return kind;
  }
  const bool is_mlp = Has(steps, TowerStepKind::kSiluMul) || Has(steps, TowerStepKind::kGelu) ||
                      Has(steps, TowerStepKind::kGeluTanh) || Has(steps, TowerStepKind::kQuickGelu);
  return is_mlp ? "mlp" : steps.front().kind == TowerStepKind::kAdd ? "residual" : "attention";
}

}  // namespace

Status TowerTranslator::Unsupported(std::string_view why) const {
  return Unimplemented("block " + block_.name + " of the visual tower: " + std::string(why) +
                       "; dies cannot run it");
}

Result<TowerBlockKind> TowerTranslator::Translate(std::string kind_name) {
  kind_.name = std::move(kind_name);
  slots_.resize(block_.values.size());
  const bool is_first = kind_.name == "patches";
  Bind(0, {is_first ? -1 : kHiddenBuffer, schedule_.patches(), block_.values[0].columns,
           is_first ? Sharding::kPixels : Sharding::kWhole, false});
  for (const Node& node : block_.nodes) {
    TYLLM_TRY(TranslateNode(node));
  }
  if (!steps_.empty()) {
    CloseSegment({});
  }
  TYLLM_TRY(PlaceOutput());
  return std::move(kind_);
}

Status TowerTranslator::TranslateNode(const Node& node) {
  switch (node.op) {
    case Op::kLinear:
      return TranslateLinear(node);
    case Op::kRmsNorm:
    case Op::kLayerNorm:
      return TranslateNorm(node);
    case Op::kRope:
      TranslateRope(node);
      return OkStatus();
    case Op::kFrameAttention:
    case Op::kWindowAttention:
      return TranslateAttention(node);
    case Op::kSiluMul:
    case Op::kGelu:
    case Op::kGeluTanh:
    case Op::kQuickGelu:
      return TranslateActivation(node);
    case Op::kAdd:
      return TranslateAdd(node);
    case Op::kGridEmbedding:
      Bind(node.output, {-1, schedule_.patches(), 0, Sharding::kWhole, true});
      return OkStatus();
    case Op::kToWindows:
      TranslateGather(node, TowerInputKind::kToWindows);
      return OkStatus();
    case Op::kFromWindows:
      TranslateGather(node, TowerInputKind::kFromWindows);
      return OkStatus();
    case Op::kMerge:
      return TranslateMerge(node);
    case Op::kEmbed:
    case Op::kHeadRmsNorm:
    case Op::kAttention:
      break;
  }
  return Unsupported("it has an operation " + std::string(graph::kOpNames.Name(node.op)));
}

Status TowerTranslator::TranslateNorm(const Node& node) {
  const Slot& in = SlotOf(node.inputs[0]);
  if (in.sharding != Sharding::kWhole) {
    return Unsupported("a norm reads what dies have parts of");
  }
  std::vector<std::int32_t> weights{AddVector(node.weight, in.columns)};
  if (!node.bias.empty()) {
    weights.push_back(AddVector(node.bias, in.columns));
  }
  const Slot out = NewRows(node, in.rows, in.columns, Sharding::kWhole);
  Emit({.kind = node.op == Op::kRmsNorm ? TowerStepKind::kRmsNorm : TowerStepKind::kLayerNorm,
        .inputs = {SlotOf(node.inputs[0]).buffer},
        .output = out.buffer,
        .rows = out.rows,
        .columns = out.columns,
        .weights = std::move(weights)});
  Bind(node.output, out);
  return OkStatus();
}

Status TowerTranslator::TranslateLinear(const Node& node) {
  const Slot in = SlotOf(node.inputs[0]);
  const bool sums = in.sharding != Sharding::kWhole;
  const std::int64_t all_rows = block_.values[static_cast<std::size_t>(node.output)].columns;
  const std::int64_t all_columns = block_.values[static_cast<std::size_t>(node.inputs[0])].columns;
  Sharding sharding = Sharding::kWhole;
  if (!sums) {
    TYLLM_ASSIGN(sharding, ShardingOfReaders(node));
  }
  Range rows = PartOf(sharding, all_rows);
  if (rows.size() == 0) {
    Bind(node.output, {-1, in.rows, 0, sharding, false});
    return OkStatus();
  }
  const Slot out = NewRows(node, in.rows, PaddedColumns(rows.size()), sharding);
  Bind(node.output, out);
  TowerStep step{.kind = in.sharding == Sharding::kPixels ? TowerStepKind::kFirstLinear
                                                          : TowerStepKind::kLinear,
                 .output = out.buffer,
                 .rows = out.rows,
                 .columns = out.columns};
  if (sums && PartOf(in.sharding, all_columns).size() == 0) {
    step.kind = TowerStepKind::kZero;
  } else {
    step.in_columns = in.sharding == Sharding::kPixels ? schedule_.shard.pixels.size() : in.columns;
    const std::int64_t first = node.part * all_rows;
    step.weights = LinearWeights(node, {first + rows.begin, first + rows.end},
                                 PartOf(in.sharding, all_columns), step.in_columns, sums);
    if (in.buffer >= 0) {
      step.inputs = {in.buffer};
    }
  }
  Emit(std::move(step));
  if (sums) {
    CloseSegment(out);
  }
  return OkStatus();
}

void TowerTranslator::TranslateRope(const Node& node) {
  const Slot slot = SlotOf(node.inputs[0]);
  if (slot.buffer >= 0) {
    Emit({.kind = TowerStepKind::kRope,
          .inputs = {slot.buffer},
          .output = slot.buffer,
          .rows = slot.rows,
          .columns = slot.columns,
          .table = TowerInputKind::kRotations});
  }
  Bind(node.output, slot);
}

Status TowerTranslator::TranslateAttention(const Node& node) {
  const Slot q = SlotOf(node.inputs[0]);
  const Slot k = SlotOf(node.inputs[1]);
  const Slot v = SlotOf(node.inputs[2]);
  if (q.sharding != Sharding::kHeads || k.sharding != Sharding::kHeads ||
      v.sharding != Sharding::kHeads) {
    return Unsupported("its attention reads something else than heads");
  }
  if (q.buffer < 0) {
    Bind(node.output, q);
    return OkStatus();
  }
  const bool windows = node.op == Op::kWindowAttention;
  const TowerInputKind table = windows ? TowerInputKind::kWindowEnds : TowerInputKind::kFrameEnds;
  const std::int64_t capacity = windows ? schedule_.window_capacity : schedule_.frame_capacity;
  const std::int64_t longest = windows ? schedule_.window_longest : schedule_.frame_longest;
  const TowerBufferId cache =
      AddBuffer({"cache", TowerBufferKind::kCache, capacity, q.columns,
                 die::KvLayerBytes(static_cast<std::uint64_t>(schedule_.heads()),
                                   static_cast<std::uint64_t>(schedule_.shape.head_size()),
                                   static_cast<std::uint64_t>(capacity))});
  const TowerBufferId scratch =
      AddBuffer({"scores", TowerBufferKind::kScratch, die::kMaxParts, longest,
                 die::kMaxParts * sizeof(float) *
                     die::AttentionScratchFloats(static_cast<std::uint64_t>(longest))});
  Emit({.kind = TowerStepKind::kPackRuns,
        .inputs = {k.buffer, v.buffer},
        .output = cache,
        .rows = q.rows,
        .columns = q.columns,
        .table = table});
  const Slot out = NewRows(node, q.rows, q.columns, Sharding::kHeads);
  Emit({.kind = TowerStepKind::kAttendRuns,
        .inputs = {q.buffer, cache, scratch},
        .output = out.buffer,
        .rows = q.rows,
        .columns = q.columns,
        .table = table});
  Bind(node.output, out);
  return OkStatus();
}

Status TowerTranslator::TranslateActivation(const Node& node) {
  const Slot slot = SlotOf(node.inputs[0]);
  if (slot.sharding == Sharding::kWhole || slot.buffer < 0) {
    return Unsupported("its activation is not between two linear layers");
  }
  TowerStep step{.kind = ActivationOf(node.op),
                 .inputs = {slot.buffer},
                 .output = slot.buffer,
                 .rows = slot.rows,
                 .columns = slot.columns};
  if (node.op == Op::kSiluMul) {
    step.inputs.push_back(SlotOf(node.inputs[1]).buffer);
  }
  Emit(std::move(step));
  Bind(node.output, slot);
  return OkStatus();
}

Status TowerTranslator::TranslateAdd(const Node& node) {
  const Slot slot = SlotOf(node.inputs[0]);
  const Slot other = SlotOf(node.inputs[1]);
  if (slot.buffer < 0 || slot.sharding != Sharding::kWhole) {
    return Unsupported("an addition is not of whole rows");
  }
  TowerStep step{.kind = other.is_places ? TowerStepKind::kAddPlaces : TowerStepKind::kAdd,
                 .inputs = {slot.buffer},
                 .output = slot.buffer,
                 .rows = slot.rows,
                 .columns = slot.columns,
                 .table = TowerInputKind::kPlaces};
  if (!other.is_places) {
    step.inputs.push_back(other.buffer);
  }
  Emit(std::move(step));
  Bind(node.output, slot);
  return OkStatus();
}

Status TowerTranslator::TranslateMerge(const Node& node) {
  Slot slot = SlotOf(node.inputs[0]);
  if (slot.sharding != Sharding::kWhole || slot.columns != schedule_.shape.width) {
    return Unsupported("it merges something else than patches");
  }
  slot.rows /= schedule_.shape.unit();
  slot.columns *= schedule_.shape.unit();
  Bind(node.output, slot);
  return OkStatus();
}

void TowerTranslator::TranslateGather(const Node& node, TowerInputKind order) {
  const Slot in = SlotOf(node.inputs[0]);
  const Slot out = NewRows(node, in.rows, in.columns, Sharding::kWhole);
  Emit({.kind = TowerStepKind::kGather,
        .inputs = {in.buffer},
        .output = out.buffer,
        .rows = out.rows,
        .columns = out.columns,
        .table = order});
  Bind(node.output, out);
}

Result<TowerTranslator::Sharding> TowerTranslator::ShardingOfReaders(const Node& node) const {
  const std::vector<const Node*> readers = graph::Consumers(block_, node.output);
  const Op reader = readers.empty() ? Op::kAdd : readers.front()->op;
  if (reader == Op::kRope || reader == Op::kFrameAttention || reader == Op::kWindowAttention) {
    return Sharding::kHeads;
  }
  if (IsActivation(reader)) {
    return features_ ? Sharding::kMerged : Sharding::kInner;
  }
  return Unsupported("linear layer " + node.weight + " is read by neither heads nor an activation");
}

Range TowerTranslator::PartOf(Sharding sharding, std::int64_t all) const {
  const TowerShard& shard = schedule_.shard;
  const std::int64_t head = schedule_.shape.head_size();
  switch (sharding) {
    case Sharding::kWhole:
      return {0, all};
    case Sharding::kPixels:
      return shard.pixels;
    case Sharding::kHeads:
      return {shard.heads.begin * head, shard.heads.end * head};
    case Sharding::kInner:
      return shard.inner;
    case Sharding::kMerged:
      return shard.merged;
  }
  return {0, all};
}

TowerTranslator::Slot TowerTranslator::NewRows(const Node& node, std::int64_t rows,
                                               std::int64_t columns, Sharding sharding) {
  const auto bytes = static_cast<std::uint64_t>(rows * columns) * sizeof(float);
  const TowerBufferId id = AddBuffer({block_.values[static_cast<std::size_t>(node.output)].name,
                                      TowerBufferKind::kRows, rows, columns, bytes});
  return {id, rows, columns, sharding, false};
}

TowerBufferId TowerTranslator::AddBuffer(TowerBuffer buffer) {
  buffer.name = kind_.name + "." + buffer.name;
  schedule_.buffers.push_back(std::move(buffer));
  return static_cast<TowerBufferId>(schedule_.buffers.size()) - 1;
}

std::vector<std::int32_t> TowerTranslator::LinearWeights(const Node& node, Range rows,
                                                         Range columns, std::int64_t in_columns,
                                                         bool sums) {
  const std::int64_t packed = PaddedColumns(rows.size());
  const std::string module = RelativeName(node.weight);
  const std::string suffix =
      node.parts > 1 ? "." + block_.values[static_cast<std::size_t>(node.output)].name : "";
  std::vector<std::int32_t> weights{static_cast<std::int32_t>(kind_.weights.size())};
  kind_.weights.push_back(
      {module + ".weight", module + suffix, true, rows, columns, packed, in_columns, false});
  if (!node.bias.empty()) {
    weights.push_back(static_cast<std::int32_t>(kind_.weights.size()));
    kind_.weights.push_back(
        {RelativeName(node.bias), module + suffix + ".bias", false, rows, {0, 1}, packed, 1, sums});
  }
  return weights;
}

std::int32_t TowerTranslator::AddVector(const std::string& tensor, std::int64_t size) {
  const std::string name = RelativeName(tensor);
  kind_.weights.push_back({name, name, false, {0, size}, {0, 1}, size, 1, false});
  return static_cast<std::int32_t>(kind_.weights.size()) - 1;
}

std::string TowerTranslator::RelativeName(const std::string& name) const {
  const std::string prefix = block_.name + ".";
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

void TowerTranslator::CloseSegment(const Slot& sum) {
  const std::string name = SegmentName(steps_, kind_.name);
  const bool has_sum = sum.buffer >= 0;
  kind_.segments.push_back({name, std::exchange(steps_, {}),
                            has_sum ? die::Collective::kAllReduceSum : die::Collective::kNone,
                            sum.buffer, has_sum ? sum.rows * sum.columns : 0});
}

void TowerTranslator::Rename(TowerBufferId from, TowerBufferId to) {
  for (TowerSegment& segment : kind_.segments) {
    for (TowerStep& step : segment.steps) {
      std::ranges::replace(step.inputs, from, to);
      step.output = step.output == from ? to : step.output;
    }
    segment.collective = segment.collective == from ? to : segment.collective;
  }
  schedule_.buffers[static_cast<std::size_t>(from)].bytes = 0;
}

Status TowerTranslator::PlaceOutput() {
  const Slot& out = SlotOf(block_.output);
  const bool is_layer = kind_.name.ends_with("layer");
  if (is_layer ? out.buffer != kHiddenBuffer : out.buffer <= kFeaturesBuffer) {
    return Unsupported("its output is not where the next block reads it");
  }
  if (!is_layer) {
    Rename(out.buffer, features_ ? kFeaturesBuffer : kHiddenBuffer);
  }
  return OkStatus();
}

}  // namespace tyllm::plan
