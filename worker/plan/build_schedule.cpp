// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <utility>

#include "worker/plan/block_translator.h"
#include "worker/plan/schedule.h"

namespace tyllm::plan {
namespace {

using graph::Block;
using graph::Node;
using graph::Op;

std::string ModuleOf(std::string_view tensor) {
  constexpr std::string_view kSuffix = ".weight";
  return std::string(tensor.ends_with(kSuffix) ? tensor.substr(0, tensor.size() - kSuffix.size())
                                               : tensor);
}

AttentionShape AttentionOf(const model::ModelShape& shape, const DieShard& shard) {
  const std::int64_t queries = shape.queries_per_kv();
  if (shard.heads.size() == 0) {
    return {0, 0, queries, 0, shape.head_size};
  }
  return {shard.heads.size(), shard.heads.begin - shard.kv_heads.begin * queries, queries,
          shard.kv_heads.size(), shape.head_size};
}

Result<SegmentPlan> EmbedSegment(Schedule& schedule, const WeightFormats& formats,
                                 const Block& block, std::int64_t dies) {
  SegmentPlan segment{"embed", {}, die::Collective::kNone, -1, 0};
  segment.steps.push_back({StepKind::kZero, {}, kResidual, {}, StepRows::kTokens});
  if (schedule.inputs.embeddings) {
    segment.steps.push_back({StepKind::kCopyEmbeddings, {}, kPartial, {}, StepRows::kTokens});
  } else {
    if (block.nodes.size() != 1 || block.nodes[0].op != Op::kEmbed) {
      return NotADecoder(block, "the embedding is more than a table");
    }
    schedule.weights.push_back(formats.FloatMatrix(
        ModuleOf(block.nodes[0].weight), schedule.shard.vocabulary, {0, schedule.shape.width}));
    segment.steps.push_back({StepKind::kEmbed, {}, kPartial, {0}, StepRows::kTokens});
    segment.after = die::Collective::kAllReduceSum;
    segment.collective = kPartial;
    segment.group = dies;
  }
  if (schedule.inputs.rotations) {
    segment.steps.push_back({StepKind::kCopyRotations, {}, kRope, {}, StepRows::kTokens});
    return segment;
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
    const bool is_mlp = std::any_of(segment.steps.begin(), segment.steps.end(),
                                    [](const Step& s) { return s.kind == StepKind::kSiluMul; });
    segment.name = is_mlp ? "mlp" : "attention";
  }
}

/// What is added to the visual tokens after a layer is added before the next block reads them.
void AddDeepstack(bool wanted, StepRows rows, SegmentPlan& segment) {
  if (wanted) {
    segment.steps.insert(segment.steps.begin(),
                         {StepKind::kAddDeepstack, {kPartial}, kPartial, {}, rows});
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
                               static_cast<WeightId>(schedule.weights.size()),
                               next == 0 ? "" : "_" + std::to_string(next));
    TYLLM_ASSIGN(kind.segments, translator.Translate());
    AddDeepstack(schedule.inputs.deepstack > 0, StepRows::kTokens, kind.segments.front());
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
  const bool every = EveryLogit(schedule.program.kind);
  AddDeepstack(schedule.inputs.deepstack >= schedule.shape.layers,
               every ? StepRows::kTokens : StepRows::kLast, schedule.head);
  schedule.logits = translator.output();
  return OkStatus();
}

}  // namespace

Result<Schedule> BuildSchedule(const graph::Graph& graph, const WeightFormats& formats,
                               const ShardPlan& plan, std::int64_t die, const ProgramId& program,
                               std::int64_t max_kv, const ProgramInputs& inputs) {
  Schedule schedule;
  schedule.program = program;
  schedule.max_kv = max_kv;
  schedule.inputs = inputs;
  schedule.activation_bits = formats.activation_bits;
  schedule.shape = graph.shape;
  schedule.shard = plan.dies.at(static_cast<std::size_t>(die));
  schedule.attention = AttentionOf(graph.shape, schedule.shard);
  const std::int64_t bucket = program.bucket;
  const std::int64_t width = graph.shape.width;
  schedule.buffers = {{"residual", BufferKind::kFloat, bucket, width, 0, true},
                      {"partial", BufferKind::kFloat, bucket, width, 0, true},
                      {"rope", BufferKind::kFloat, bucket, graph.shape.head_size, 0, true}};
  TYLLM_ASSIGN(schedule.embed,
               EmbedSegment(schedule, formats, graph.embedding, std::ssize(plan.dies)));
  // The head's weights stand before the layers' in the bindings, so it is translated first.
  TYLLM_TRY(AddHead(schedule, graph, formats, plan));
  TYLLM_TRY(AddLayers(schedule, graph, formats, plan));
  return schedule;
}

}  // namespace tyllm::plan
