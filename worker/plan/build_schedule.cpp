// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "worker/plan/schedule.h"

namespace tyllm::plan {
namespace {

using graph::Block;
using graph::Node;
using graph::Op;
using graph::ValueId;

/// Which part of its columns a die has of a value.
enum class Sharding : std::uint8_t { kWhole, kHeads, kKvHeads, kIntermediate, kVocabulary, kSum };

/// Buffers that live through a whole call, by fixed position.
constexpr BufferId kResidual = 0;
constexpr BufferId kPartial = 1;
constexpr BufferId kRope = 2;

Status NotADecoder(const Block& block, std::string_view why) {
  return Unimplemented("block " + block.name + " cannot be compiled for dies: " + std::string(why));
}

std::string ModuleOf(std::string_view tensor) {
  constexpr std::string_view kSuffix = ".weight";
  return std::string(tensor.ends_with(kSuffix) ? tensor.substr(0, tensor.size() - kSuffix.size())
                                               : tensor);
}

/// Turns the nodes of one block into steps. Cuts a segment after each linear layer whose input is
/// sharded: its output is this die's part of a sum.
class BlockTranslator {
 public:
  BlockTranslator(Schedule& schedule, const WeightFormats& formats, const ShardPlan& plan,
                  const Block& block, std::vector<Weight>& weights, WeightId first_weight)
      : schedule_(schedule),
        formats_(formats),
        plan_(plan),
        block_(block),
        weights_(weights),
        first_weight_(first_weight),
        shardings_(block.values.size(), Sharding::kWhole),
        buffers_(block.values.size(), -1) {}

  /// Suffix of the names of the block's buffers.
  void set_suffix(std::string suffix) { suffix_ = std::move(suffix); }

  /// The block's input is the residual; its output is the logits.
  Result<std::vector<SegmentPlan>> Translate() {
    buffers_.at(0) = kResidual;
    for (const Node& node : block_.nodes) {
      TYLLM_TRY(TranslateNode(node));
    }
    if (!steps_.empty()) {
      segments_.push_back({"", std::exchange(steps_, {}), die::Collective::kNone, -1});
    }
    return std::move(segments_);
  }

  BufferId output() const { return BufferOf(block_.output); }

 private:
  Status TranslateNode(const Node& node) {
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
    }
    return Internal("unknown operation");
  }

  Status TranslateNorm(const Node& node) {
    if (BufferOf(node.inputs[0]) != kResidual) {
      return NotADecoder(block_, "a norm reads something else than the residual");
    }
    const WeightId weight = AddVector(node.weight, {0, schedule_.shape.width});
    const BufferId output = AddBuffer(node.output, schedule_.shape.width);
    Emit({StepKind::kAddRmsNorm, {kResidual, kPartial}, output, {weight}, NormRows()});
    return OkStatus();
  }

  Status TranslateInPlace(const Node& node) {
    const ValueId input = node.inputs[0];
    if (graph::Consumers(block_, input).size() != 1) {
      return NotADecoder(block_, "value " + ValueName(input) + " has several readers");
    }
    const BufferId buffer = BufferOf(input);
    Bind(node.output, buffer, shardings_[static_cast<std::size_t>(input)]);
    if (node.op == Op::kRope) {
      Emit({StepKind::kRope, {buffer, kRope}, buffer, {}, Rows()});
    } else {
      const WeightId weight = AddVector(node.weight, {0, schedule_.shape.head_size});
      Emit({StepKind::kHeadRmsNorm, {buffer}, buffer, {weight}, Rows()});
    }
    return OkStatus();
  }

  Status TranslateLinear(const Node& node) {
    const ValueId input = node.inputs[0];
    const Sharding in = shardings_[static_cast<std::size_t>(input)];
    const Sharding out = in == Sharding::kWhole ? ShardingOfReaders(node.output) : Sharding::kSum;
    if (out == Sharding::kSum && !node.bias.empty()) {
      return NotADecoder(block_, node.weight + " has a bias, which every die would add");
    }
    const std::int64_t width = ColumnsOf(input);
    const std::int64_t all_rows = block_.values[static_cast<std::size_t>(node.output)].columns;
    const Range rows = RowsOf(out, all_rows);
    std::vector<WeightId> weights{AddLinear(node.weight, in, rows, width)};
    const std::int64_t group = weights_[IndexOf(weights[0])].group;
    const BufferId source = group == 0 ? BufferOf(input) : Quantized(input, group);
    if (!node.bias.empty()) {
      weights.push_back(AddVector(node.bias, rows));
    }
    if (out == Sharding::kSum) {
      Bind(node.output, kPartial, Sharding::kWhole);
      Emit({StepKind::kLinear, {source}, kPartial, weights, Rows()});
      segments_.push_back(
          {"", std::exchange(steps_, {}), die::Collective::kAllReduceSum, kPartial});
      quantized_.clear();
      return OkStatus();
    }
    const BufferId output = AddBuffer(node.output, rows.size());
    shardings_[static_cast<std::size_t>(node.output)] = out;
    Emit({StepKind::kLinear, {source}, output, weights, Rows()});
    return OkStatus();
  }

  Status TranslateAttention(const Node& node) {
    const BufferId q = BufferOf(node.inputs[0]);
    Emit(
        {StepKind::kStoreKv, {BufferOf(node.inputs[1]), BufferOf(node.inputs[2])}, -1, {}, Rows()});
    const auto scratch = static_cast<BufferId>(schedule_.buffers.size());
    schedule_.buffers.push_back({"attention_scratch" + suffix_, BufferKind::kAttentionScratch, 1,
                                 schedule_.max_kv, 0, false});
    const BufferId output =
        AddBuffer(node.output, schedule_.attention.heads * schedule_.attention.head_size);
    shardings_[static_cast<std::size_t>(node.output)] = Sharding::kHeads;
    Emit({StepKind::kAttention, {q, scratch}, output, {}, Rows()});
    return OkStatus();
  }

  Status TranslateSiluMul(const Node& node) {
    const BufferId output = AddBuffer(node.output, schedule_.shard.intermediate.size());
    shardings_[static_cast<std::size_t>(node.output)] = Sharding::kIntermediate;
    Emit({StepKind::kSiluMul,
          {BufferOf(node.inputs[0]), BufferOf(node.inputs[1])},
          output,
          {},
          Rows()});
    return OkStatus();
  }

  /// The addition itself happens in the next norm, after the sum over the dies.
  Status TranslateAdd(const Node& node) {
    const BufferId a = BufferOf(node.inputs[0]);
    const BufferId b = BufferOf(node.inputs[1]);
    if (std::minmax(a, b) != std::minmax(kResidual, kPartial)) {
      return NotADecoder(block_, "an addition is not of the residual and a linear layer's output");
    }
    Bind(node.output, kResidual, Sharding::kWhole);
    return OkStatus();
  }

  /// What the readers of a linear layer's output want of it.
  Sharding ShardingOfReaders(ValueId value) const {
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

  /// Part of `all` columns that a value so sharded has, as a range of the whole.
  Range RowsOf(Sharding sharding, std::int64_t all) const {
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

  std::int64_t EffectiveGroup(Sharding in) const {
    switch (in) {
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

  WeightId AddLinear(const std::string& module, Sharding in, Range rows, std::int64_t columns) {
    const bool is_float = formats_.GroupOf(module) == 0;
    const model::ModelShape& shape = schedule_.shape;
    const bool tied = shape.tied_head && module == shape.names.head;
    return AddWeight({RelativeName(tied ? std::string(shape.names.embedding) : module),
                      is_float ? WeightKind::kHalf : WeightKind::kInt4, rows, RowsOf(in, columns),
                      is_float ? 0 : EffectiveGroup(in)});
  }

  WeightId AddVector(const std::string& tensor, Range columns) {
    return AddWeight({RelativeName(tensor), WeightKind::kVector, {0, 1}, columns, 0});
  }

  /// A weight that is there already (a tied head) is not bound twice.
  WeightId AddWeight(const Weight& weight) {
    const auto found = std::find(weights_.begin(), weights_.end(), weight);
    const auto index = static_cast<WeightId>(found - weights_.begin());
    if (found == weights_.end()) {
      weights_.push_back(weight);
    }
    return first_weight_ + index;
  }

  std::string RelativeName(const std::string& name) const {
    const std::string prefix = block_.name + ".";
    return first_weight_ > 0 && name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  }

  std::size_t IndexOf(WeightId id) const { return static_cast<std::size_t>(id - first_weight_); }

  /// Columns of the whole value, on all dies together.
  std::int64_t ColumnsOf(ValueId value) const {
    return block_.values[static_cast<std::size_t>(value)].columns;
  }

  BufferId Quantized(ValueId value, std::int64_t group) {
    const BufferId source = BufferOf(value);
    if (const auto found = quantized_.find({source, group}); found != quantized_.end()) {
      return found->second;
    }
    const Buffer& input = schedule_.buffers[static_cast<std::size_t>(source)];
    const auto id = static_cast<BufferId>(schedule_.buffers.size());
    const Buffer output{input.name + "_quantized",
                        BufferKind::kActivations,
                        input.rows,
                        input.columns,
                        group,
                        false};
    schedule_.buffers.push_back(output);
    Emit({StepKind::kQuantize, {source}, id, {}, Rows()});
    quantized_[{source, group}] = id;
    return id;
  }

  BufferId AddBuffer(ValueId value, std::int64_t columns) {
    const auto id = static_cast<BufferId>(schedule_.buffers.size());
    const std::int64_t rows = is_head() ? schedule_.logit_rows() : schedule_.program.bucket;
    schedule_.buffers.push_back(
        {ValueName(value) + suffix_, BufferKind::kFloat, rows, columns, 0, false});
    buffers_[static_cast<std::size_t>(value)] = id;
    return id;
  }

  bool is_head() const { return first_weight_ == 0; }

  /// Only the last token's logits are wanted: everything after the first norm has one row.
  bool single() const { return is_head() && !EveryLogit(schedule_.program.kind); }

  StepRows Rows() const { return single() ? StepRows::kSingle : StepRows::kTokens; }

  StepRows NormRows() const { return single() ? StepRows::kLast : StepRows::kTokens; }

  void Emit(Step step) { steps_.push_back(std::move(step)); }

  BufferId BufferOf(ValueId value) const { return buffers_[static_cast<std::size_t>(value)]; }

  void Bind(ValueId value, BufferId buffer, Sharding sharding) {
    buffers_[static_cast<std::size_t>(value)] = buffer;
    shardings_[static_cast<std::size_t>(value)] = sharding;
  }

  const std::string& ValueName(ValueId value) const {
    return block_.values[static_cast<std::size_t>(value)].name;
  }

  Schedule& schedule_;
  const WeightFormats& formats_;
  const ShardPlan& plan_;
  const Block& block_;
  std::vector<Weight>& weights_;
  WeightId first_weight_;
  std::vector<Sharding> shardings_;
  std::vector<BufferId> buffers_;
  std::map<std::pair<BufferId, std::int64_t>, BufferId> quantized_;
  std::vector<Step> steps_;
  std::vector<SegmentPlan> segments_;
  std::string suffix_;
};

AttentionShape AttentionOf(const model::ModelShape& shape, const DieShard& shard) {
  const std::int64_t queries = shape.queries_per_kv();
  return {shard.heads.size(), shard.heads.begin - shard.kv_heads.begin * queries, queries,
          shard.kv_heads.size(), shape.head_size};
}

Result<SegmentPlan> EmbedSegment(Schedule& schedule, const Block& block) {
  SegmentPlan segment{"embed", {}, die::Collective::kNone, -1};
  segment.steps.push_back({StepKind::kZero, {}, kResidual, {}, StepRows::kTokens});
  if (schedule.embedding_as_input) {
    segment.steps.push_back({StepKind::kCopyEmbeddings, {}, kPartial, {}, StepRows::kTokens});
  } else {
    if (block.nodes.size() != 1 || block.nodes[0].op != Op::kEmbed) {
      return NotADecoder(block, "the embedding is more than a table");
    }
    schedule.weights.push_back({ModuleOf(block.nodes[0].weight),
                                WeightKind::kHalf,
                                schedule.shard.vocabulary,
                                {0, schedule.shape.width},
                                0});
    segment.steps.push_back({StepKind::kEmbed, {}, kPartial, {0}, StepRows::kTokens});
    segment.after = die::Collective::kAllReduceSum;
    segment.collective = kPartial;
  }
  const auto frequencies = static_cast<WeightId>(schedule.weights.size());
  schedule.weights.push_back({std::string(kFrequenciesName),
                              WeightKind::kFrequencies,
                              {0, 1},
                              {0, schedule.shape.head_size / 2},
                              0});
  segment.steps.push_back({StepKind::kRopeTable, {}, kRope, {frequencies}, StepRows::kTokens});
  return segment;
}

/// Which linear layers of a block are float: layers that agree in it share their steps.
std::vector<bool> FormatsOf(const Block& block, const WeightFormats& formats) {
  std::vector<bool> is_float;
  for (const Node& node : block.nodes) {
    if (node.op == Op::kLinear) {
      is_float.push_back(formats.GroupOf(node.weight) == 0);
    }
  }
  return is_float;
}

void NameSegments(std::vector<SegmentPlan>& segments) {
  for (SegmentPlan& segment : segments) {
    const bool attends = std::any_of(segment.steps.begin(), segment.steps.end(),
                                     [](const Step& s) { return s.kind == StepKind::kAttention; });
    segment.name = attends ? "attention" : "mlp";
  }
}

Status AddLayers(Schedule& schedule, const graph::Graph& graph, const WeightFormats& formats,
                 const ShardPlan& plan) {
  std::map<std::vector<bool>, std::int32_t> kinds;
  for (const Block& block : graph.layers) {
    const auto next = static_cast<std::int32_t>(schedule.layer_kinds.size());
    const auto [found, is_new] = kinds.emplace(FormatsOf(block, formats), next);
    schedule.kind_of_layer.push_back(found->second);
    schedule.layer_names.push_back(block.name);
    if (!is_new) {
      continue;
    }
    LayerKind kind;
    BlockTranslator translator(schedule, formats, plan, block, kind.weights,
                               static_cast<WeightId>(schedule.weights.size()));
    translator.set_suffix(next == 0 ? "" : "_" + std::to_string(next));
    TYLLM_ASSIGN(kind.segments, translator.Translate());
    NameSegments(kind.segments);
    schedule.layer_kinds.push_back(std::move(kind));
  }
  return OkStatus();
}

Status AddHead(Schedule& schedule, const graph::Graph& graph, const WeightFormats& formats,
               const ShardPlan& plan) {
  BlockTranslator translator(schedule, formats, plan, graph.head, schedule.weights, 0);
  TYLLM_ASSIGN(std::vector<SegmentPlan> segments, translator.Translate());
  if (segments.size() != 1) {
    return NotADecoder(graph.head, "the head needs sums over the dies");
  }
  schedule.head = std::move(segments.front());
  schedule.head.name = "head";
  schedule.logits = translator.output();
  return OkStatus();
}

}  // namespace

Result<Schedule> BuildSchedule(const graph::Graph& graph, const WeightFormats& formats,
                               const ShardPlan& plan, std::int64_t die, const ProgramId& program,
                               std::int64_t max_kv, bool embedding_as_input) {
  Schedule schedule;
  schedule.program = program;
  schedule.max_kv = max_kv;
  schedule.embedding_as_input = embedding_as_input;
  schedule.shape = graph.shape;
  schedule.shard = plan.dies.at(static_cast<std::size_t>(die));
  schedule.attention = AttentionOf(graph.shape, schedule.shard);
  const std::int64_t bucket = program.bucket;
  const std::int64_t width = graph.shape.width;
  schedule.buffers = {{"residual", BufferKind::kFloat, bucket, width, 0, true},
                      {"partial", BufferKind::kFloat, bucket, width, 0, true},
                      {"rope", BufferKind::kFloat, bucket, graph.shape.head_size, 0, true}};
  TYLLM_ASSIGN(schedule.embed, EmbedSegment(schedule, graph.embedding));
  // The head's weights stand before the layers' in the bindings, so it is translated first.
  TYLLM_TRY(AddHead(schedule, graph, formats, plan));
  TYLLM_TRY(AddLayers(schedule, graph, formats, plan));
  return schedule;
}

}  // namespace tyllm::plan
