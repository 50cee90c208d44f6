// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/block_translator.h"

#include <algorithm>

#include "worker/die/linear8.h"
#include "worker/plan/phases.h"

namespace tyllm::plan {

using graph::Block;
using graph::Node;
using graph::Op;
using graph::ValueId;

Status NotADecoder(const Block& block, std::string_view why) {
  return Unimplemented("block " + block.name + " cannot be compiled for dies: " + std::string(why));
}

BlockTranslator::BlockTranslator(Schedule& schedule, const WeightFormats& formats,
                                 const ShardPlan& plan, const Block& block,
                                 std::vector<Weight>& weights, WeightId first_weight,
                                 std::string suffix)
    : schedule_(schedule),
      formats_(formats),
      plan_(plan),
      block_(block),
      weights_(weights),
      first_weight_(first_weight),
      suffix_(std::move(suffix)),
      shardings_(block.values.size(), Sharding::kWhole),
      buffers_(block.values.size(), -1) {}

Result<std::vector<SegmentPlan>> BlockTranslator::Translate() {
  Bind(0, kResidual, Sharding::kWhole);
  for (const Node& node : block_.nodes) {
    TYLLM_TRY(TranslateNode(node));
  }
  if (!steps_.empty()) {
    CloseSegment(die::Collective::kNone, -1, 0);
  }
  return std::move(segments_);
}

Status BlockTranslator::TranslateNode(const Node& node) {
  switch (node.op) {
    case Op::kEmbed:
      return NotADecoder(block_, "an embedding stands inside it");
    case Op::kRmsNorm:
      return TranslateNorm(node);
    case Op::kHeadRmsNorm:
    case Op::kRope:
      return TranslateInPlace(node);
    case Op::kLinear:
      return TranslateLinear(node);
    case Op::kAttention:
      return TranslateAttention(node);
    case Op::kSiluMul:
      return TranslateSiluMul(node);
    case Op::kAdd:
      return TranslateAdd(node);
    case Op::kLayerNorm:
    case Op::kGelu:
    case Op::kGeluTanh:
    case Op::kQuickGelu:
    case Op::kGridEmbedding:
    case Op::kFrameAttention:
    case Op::kWindowAttention:
    case Op::kToWindows:
    case Op::kFromWindows:
    case Op::kMerge:
      return NotADecoder(block_, "it is of a visual tower");
  }
  return Internal("unknown operation");
}

Status BlockTranslator::TranslateNorm(const Node& node) {
  if (BufferOf(node.inputs[0]) != kResidual) {
    return NotADecoder(block_, "a norm reads something else than the residual");
  }
  const WeightId weight = AddVector(node.weight, {0, schedule_.shape.width});
  const BufferId output = AddBuffer(node.output, schedule_.shape.width);
  Emit({StepKind::kAddRmsNorm, {kResidual, kPartial}, output, {weight}, NormRows()});
  return OkStatus();
}

Status BlockTranslator::TranslateInPlace(const Node& node) {
  const ValueId input = node.inputs[0];
  if (graph::Consumers(block_, input).size() != 1) {
    return NotADecoder(block_, "value " + ValueOf(input).name + " has several readers");
  }
  const BufferId buffer = BufferOf(input);
  Bind(node.output, buffer, ShardingOf(input));
  if (buffer == kNowhere) {
    return OkStatus();
  }
  if (node.op == Op::kRope) {
    Emit({StepKind::kRope, {buffer, kRope}, buffer, {}, Rows()});
  } else {
    const WeightId weight = AddVector(node.weight, {0, schedule_.shape.head_size});
    Emit({StepKind::kHeadRmsNorm, {buffer}, buffer, {weight}, Rows()});
  }
  return OkStatus();
}

Status BlockTranslator::TranslateLinear(const Node& node) {
  const ValueId input = node.inputs[0];
  const Sharding in = ShardingOf(input);
  const Sharding out = in == Sharding::kWhole ? ShardingOfReaders(node.output) : Sharding::kSum;
  if (out == Sharding::kSum && !node.bias.empty()) {
    return NotADecoder(block_, node.weight + " has a bias, which every die would add");
  }
  const Range rows = PartOf(out, ValueOf(node.output).columns);
  if (BufferOf(input) == kNowhere || rows.size() == 0) {
    return TranslateAbsent(node, out);
  }
  std::vector<WeightId> weights{AddLinear(node.weight, in, rows, ValueOf(input).columns)};
  const std::int64_t group = weights_[static_cast<std::size_t>(weights[0] - first_weight_)].group;
  const BufferId source = group == 0 ? BufferOf(input) : Quantized(input, group);
  if (!node.bias.empty()) {
    weights.push_back(AddVector(node.bias, rows));
  }
  if (out == Sharding::kSum) {
    Bind(node.output, kPartial, Sharding::kWhole);
    Emit({StepKind::kLinear, {source}, kPartial, weights, Rows()});
    CloseSegment(die::Collective::kAllReduceSum, kPartial, GroupOf(in));
    return OkStatus();
  }
  Bind(node.output, AddBuffer(node.output, rows.size()), out);
  Emit({StepKind::kLinear, {source}, BufferOf(node.output), weights, Rows()});
  return OkStatus();
}

/// A die without heads: nothing is computed, and nothing is added to the sum.
Status BlockTranslator::TranslateAbsent(const Node& node, Sharding out) {
  if (out != Sharding::kSum) {
    Bind(node.output, kNowhere, out);
    return OkStatus();
  }
  Bind(node.output, kPartial, Sharding::kWhole);
  Emit({StepKind::kZero, {}, kPartial, {}, Rows()});
  CloseSegment(die::Collective::kAllReduceSum, kPartial, GroupOf(ShardingOf(node.inputs[0])));
  return OkStatus();
}

Status BlockTranslator::TranslateAttention(const Node& node) {
  const AttentionShape& attention = schedule_.attention;
  if (attention.heads == 0) {
    Bind(node.output, kNowhere, Sharding::kHeads);
    return OkStatus();
  }
  Emit({StepKind::kStoreKv, {BufferOf(node.inputs[1]), BufferOf(node.inputs[2])}, -1, {}, Rows()});
  const auto scratch = static_cast<BufferId>(schedule_.buffers.size());
  schedule_.buffers.push_back({"attention_scratch" + suffix_, BufferKind::kAttentionScratch,
                               die::kMaxParts, schedule_.max_kv, 0, false});
  const BufferId output = AddBuffer(node.output, attention.heads * attention.head_size);
  Bind(node.output, output, Sharding::kHeads);
  Emit({StepKind::kAttention, {BufferOf(node.inputs[0]), scratch}, output, {}, Rows()});
  return OkStatus();
}

Status BlockTranslator::TranslateSiluMul(const Node& node) {
  const BufferId output = AddBuffer(node.output, schedule_.shard.intermediate.size());
  Bind(node.output, output, Sharding::kIntermediate);
  const BufferId gate = BufferOf(node.inputs[0]);
  const BufferId up = BufferOf(node.inputs[1]);
  Emit({StepKind::kSiluMul, {gate, up}, output, {}, Rows()});
  return OkStatus();
}

/// The addition itself happens in the next norm, after the sum over the dies.
Status BlockTranslator::TranslateAdd(const Node& node) {
  const BufferId a = BufferOf(node.inputs[0]);
  const BufferId b = BufferOf(node.inputs[1]);
  if (std::min(a, b) != kResidual || std::max(a, b) != kPartial) {
    return NotADecoder(block_, "an addition is not of the residual and a linear layer's output");
  }
  Bind(node.output, kResidual, Sharding::kWhole);
  return OkStatus();
}

BlockTranslator::Sharding BlockTranslator::ShardingOfReaders(ValueId value) const {
  if (value == block_.output) {
    return Sharding::kVocabulary;
  }
  const std::vector<const Node*> readers = graph::Consumers(block_, value);
  if (readers.empty()) {
    return Sharding::kWhole;
  }
  const Node& reader = *readers.front();
  if (reader.op == Op::kSiluMul) {
    return Sharding::kIntermediate;
  }
  if (reader.op == Op::kAttention) {
    return reader.inputs[0] == value ? Sharding::kHeads : Sharding::kKvHeads;
  }
  return ShardingOfReaders(reader.output);
}

Range BlockTranslator::PartOf(Sharding sharding, std::int64_t all) const {
  const std::int64_t head = schedule_.shape.head_size;
  const DieShard& shard = schedule_.shard;
  switch (sharding) {
    case Sharding::kWhole:
    case Sharding::kSum:
      return {0, all};
    case Sharding::kHeads:
      return {shard.heads.begin * head, shard.heads.end * head};
    case Sharding::kKvHeads:
      return {shard.kv_heads.begin * head, shard.kv_heads.end * head};
    case Sharding::kIntermediate:
      return shard.intermediate;
    case Sharding::kVocabulary:
      return shard.vocabulary;
  }
  return {0, all};
}

/// Dies that sum the products of a part so sharded.
std::int64_t BlockTranslator::GroupOf(Sharding input) const {
  return input == Sharding::kHeads ? plan_.reduce_group : std::ssize(plan_.dies);
}

std::int64_t BlockTranslator::EffectiveGroup(Sharding input) const {
  switch (input) {
    case Sharding::kHeads:
      return plan_.attention_group;
    case Sharding::kIntermediate:
      return plan_.mlp_group;
    case Sharding::kWhole:
    case Sharding::kKvHeads:
    case Sharding::kVocabulary:
    case Sharding::kSum:
      return formats_.group;
  }
  return formats_.group;
}

WeightId BlockTranslator::AddLinear(const std::string& module, Sharding input, Range rows,
                                    std::int64_t columns) {
  const model::ModelShape& shape = schedule_.shape;
  const bool is_head = module == shape.names.head;
  const bool tied = is_head && shape.tied_head;
  const std::string name = RelativeName(tied ? std::string(shape.names.embedding) : module);
  Weight weight = is_head ? formats_.FloatMatrix(name, rows, PartOf(input, columns))
                          : Weight{name, WeightKind::kHalf, rows, PartOf(input, columns)};
  if (formats_.GroupOf(module) != 0) {
    weight.kind = WeightKind::kInt4;
    weight.group = EffectiveGroup(input);
  } else if (is_head && formats_.int8_head) {
    weight.kind = WeightKind::kInt8;
    weight.group = die::Linear8Group(columns);
    weight.exceptions = 0;
  }
  return AddWeight(weight);
}

WeightId BlockTranslator::AddVector(const std::string& tensor, Range columns) {
  return AddWeight({RelativeName(tensor), WeightKind::kVector, {0, 1}, columns, 0});
}

/// A weight that is there already (a tied head) is not bound twice.
WeightId BlockTranslator::AddWeight(const Weight& weight) {
  const auto found = std::find(weights_.begin(), weights_.end(), weight);
  const auto index = static_cast<WeightId>(found - weights_.begin());
  if (found == weights_.end()) {
    weights_.push_back(weight);
  }
  return first_weight_ + index;
}

std::string BlockTranslator::RelativeName(const std::string& name) const {
  const std::string prefix = block_.name + ".";
  return !is_head() && name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

BufferId BlockTranslator::Quantized(ValueId value, std::int64_t group) {
  const BufferId source = BufferOf(value);
  if (const auto found = quantized_.find({source, group}); found != quantized_.end()) {
    return found->second;
  }
  const Buffer& input = schedule_.buffers[static_cast<std::size_t>(source)];
  const Buffer output{
      input.name + "_quantized", BufferKind::kActivations, input.rows, input.columns, group, false};
  const auto id = static_cast<BufferId>(schedule_.buffers.size());
  schedule_.buffers.push_back(output);
  Emit({StepKind::kQuantize, {source}, id, {}, Rows()});
  quantized_[{source, group}] = id;
  return id;
}

BufferId BlockTranslator::AddBuffer(ValueId value, std::int64_t columns) {
  const auto id = static_cast<BufferId>(schedule_.buffers.size());
  const std::int64_t rows = is_head() ? schedule_.logit_rows() : schedule_.program.bucket;
  schedule_.buffers.push_back(
      {ValueOf(value).name + suffix_, BufferKind::kFloat, rows, columns, 0, false});
  buffers_[static_cast<std::size_t>(value)] = id;
  return id;
}

/// What was quantized in a segment is not kept for the next.
void BlockTranslator::CloseSegment(die::Collective after, BufferId collective, std::int64_t group) {
  segments_.push_back({"", InPhaseOrder(std::exchange(steps_, {})), after, collective, group});
  quantized_.clear();
}

}  // namespace tyllm::plan
