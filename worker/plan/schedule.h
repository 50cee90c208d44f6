// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/result.h"
#include "worker/die/abi.h"
#include "worker/graph/graph.h"
#include "worker/plan/program.h"
#include "worker/plan/shard.h"

namespace tyllm::plan {

/// What a step does; rows are tokens.
enum class StepKind : std::uint8_t {
  kZero,            ///< output = 0
  kEmbed,           ///< output = rows of weight for the token ids of this die's vocabulary, else 0
  kCopyEmbeddings,  ///< output = the embeddings that the caller passed
  kCopyRotations,   ///< output = the rope table that the caller passed
  kAddDeepstack,    ///< output += what the caller passed for the layer before, if anything
  kRopeTable,   ///< output[t] = cosines, then sines, of position history+t (weight: frequencies)
  kAddRmsNorm,  ///< inputs residual, partial: residual += partial; output = norm(residual)*weight
  kQuantize,  ///< output (activations) = input in groups of integers; in float32 rounded to 8 bits,
              ///< or as it is
  kLinear,    ///< output = input * weight^T, then + bias when there is a second weight
  kHeadRmsNorm,  ///< output = input in place: norm of each head, times weight
  kRope,         ///< inputs x, rope table; output = x in place: halves of each head rotated
  kStoreKv,      ///< inputs k, v: rows history.. of this layer's cache
  kAttention,    ///< inputs q, scratch: causal over the cache, history + own tokens
  kSiluMul,      ///< inputs gate, up
};

inline constexpr EnumTable<StepKind, 14> kStepKindNames(
    "step", {{{StepKind::kZero, "zero"},
              {StepKind::kEmbed, "embed"},
              {StepKind::kCopyEmbeddings, "copy_embeddings"},
              {StepKind::kCopyRotations, "copy_rotations"},
              {StepKind::kAddDeepstack, "add_deepstack"},
              {StepKind::kRopeTable, "rope_table"},
              {StepKind::kAddRmsNorm, "add_rms_norm"},
              {StepKind::kQuantize, "quantize"},
              {StepKind::kLinear, "linear"},
              {StepKind::kHeadRmsNorm, "head_rms_norm"},
              {StepKind::kRope, "rope"},
              {StepKind::kStoreKv, "store_kv"},
              {StepKind::kAttention, "attention"},
              {StepKind::kSiluMul, "silu_mul"}}});

constexpr const auto& NamesOf(StepKind) {
  return kStepKindNames;
}

enum class BufferKind : std::uint8_t {
  kFloat,             ///< float32 [rows, columns]
  kActivations,       ///< 16-bit groups of `columns` numbers, die::ActivationBytes
  kAttentionScratch,  ///< what the attention kernel needs besides: a row a part
};

/// A place in a die's arena.
struct Buffer {
  std::string name;
  BufferKind kind = BufferKind::kFloat;
  std::int64_t rows = 0;  ///< the bucket, or 1
  std::int64_t columns = 0;
  std::int64_t group = 0;   ///< of kActivations
  bool whole_call = false;  ///< lives through all segments, not only within one
};

/// Indices into Schedule::buffers and Schedule::weights.
using BufferId = std::int32_t;
using WeightId = std::int32_t;

enum class WeightKind : std::uint8_t {
  kVector,       ///< float32 [columns]: norms, biases
  kInt4,         ///< a quantized linear layer, die::PackInt4
  kInt8,         ///< the head of `--head int8`, die::PackInt8
  kHalf,         ///< a float linear layer or the embedding table in binary16, die::PackF16Block
  kHalfIn12,     ///< the same numbers, eight bits of which are significant, die::PackF16In12Block
  kFrequencies,  ///< float32 [columns], in constant_die<d>_<s>.params
};

inline constexpr EnumTable<WeightKind, 6> kWeightKindNames(
    "weight kind", {{{WeightKind::kVector, "vector"},
                     {WeightKind::kInt4, "int4"},
                     {WeightKind::kInt8, "int8"},
                     {WeightKind::kHalf, "half"},
                     {WeightKind::kHalfIn12, "half in 12 bits"},
                     {WeightKind::kFrequencies, "frequencies"}}});

constexpr const auto& NamesOf(WeightKind) {
  return kWeightKindNames;
}

/// A parameter that a schedule binds: this die's part of a tensor of the model.
struct Weight {
  /// Tensor or module name; within a layer kind what follows the block's name and a
  /// dot ("self_attn.q_proj").
  std::string name;
  WeightKind kind = WeightKind::kVector;
  Range rows;                   ///< of the whole matrix [out, in]; {0, 1} for a vector
  Range columns;                ///< of the whole matrix
  std::int64_t group = 0;       ///< of kInt4: the effective group (ShardPlan); of kInt8
  std::int64_t exceptions = 0;  ///< of kHalfIn12: that a row block has room for

  bool operator==(const Weight&) const = default;
};

/// Which rows a step runs on.
enum class StepRows : std::uint8_t {
  kTokens,  ///< as many as there are tokens in the call
  kLast,    ///< inputs have a row a token, of which the last one is read; output row 0 is written
  kSingle,  ///< row 0 of all buffers
};

struct Step {
  StepKind kind = StepKind::kZero;
  std::vector<BufferId> inputs;
  BufferId output = -1;  ///< -1 for kStoreKv
  std::vector<WeightId> weights;
  StepRows rows = StepRows::kTokens;
};

/// Steps between two collectives.
struct SegmentPlan {
  std::string name;  ///< "embed", "attention", "mlp", "head"
  std::vector<Step> steps;
  die::Collective after = die::Collective::kNone;
  BufferId collective = -1;
  std::int64_t group = 0;  ///< neighbouring dies that sum among themselves
};

/// Layers that run the same steps: all of them, unless some linear layers were kept in float.
struct LayerKind {
  std::vector<Weight> weights;  ///< names relative to the layer
  std::vector<SegmentPlan> segments;
};

/// What this die has of the attention.
struct AttentionShape {
  std::int64_t heads = 0;
  std::int64_t first_head = 0;  ///< number of its first query head within the first KV head's group
  std::int64_t queries_per_kv = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
};

/// Segment `segment` of layer `layer` (its kind's segments), or the embed and head segments (-1).
struct SegmentRun {
  const SegmentPlan* plan = nullptr;
  std::int64_t layer = -1;
};

/// What the caller of a program computes for it.
struct ProgramInputs {
  ProgramInputs() = default;

  /// Not explicit: text models differ in nothing else.
  ProgramInputs(bool takes_embeddings)  // NOLINT(google-explicit-constructor)
      : embeddings(takes_embeddings) {}

  bool embeddings = false;  ///< instead of token ids
  bool rotations = false;   ///< rope's table: positions are in time, height and width
  /// First layers after which something is added to some rows (visual tokens).
  std::int64_t deepstack = 0;

  bool operator==(const ProgramInputs&) const = default;
};

/// A program of one die as data: read by the memory planner, the code generator and the float32
/// interpreter. Weights are numbered: those of `weights` first (embedding, frequencies, final norm,
/// head), then the layer's own, so that WeightId w >= weights.size() is
/// layer_kinds[k].weights[w - weights.size()].
struct Schedule {
  ProgramId program;
  std::int64_t max_kv = 0;
  ProgramInputs inputs;
  std::int64_t activation_bits = 16;  ///< of kQuantize
  model::ModelShape shape;
  DieShard shard;
  AttentionShape attention;
  std::vector<Buffer> buffers;
  std::vector<Weight> weights;
  SegmentPlan embed;
  std::vector<LayerKind> layer_kinds;
  std::vector<std::int32_t> kind_of_layer;  ///< [layers]
  std::vector<std::string> layer_names;     ///< [layers], "model.layers.0"
  SegmentPlan head;
  BufferId logits = 0;

  std::int64_t logit_rows() const { return EveryLogit(program.kind) ? program.bucket : 1; }

  /// All segments in the order in which they run.
  std::vector<SegmentRun> Runs() const;
  /// The weight that `id` names in a layer of kind `kind` (or outside the layers).
  const Weight& WeightOf(WeightId id, std::int32_t kind) const;
  /// Entries of the bindings table: weights.size(), then the largest kind's weights for each layer.
  std::int64_t binding_stride() const;
  std::int64_t binding_count() const;
  /// Index of a weight in the bindings table; `layer` is -1 outside the layers.
  std::int64_t BindingOf(WeightId id, std::int64_t layer) const;
};

/// How a checkpoint stores its linear layers: all in groups of `group`, but for those named.
struct WeightFormats {
  std::int64_t group = 0;  ///< 0: nothing is quantized
  std::set<std::string, std::less<>> float_linears;
  bool int8_head = false;             ///< a head that is not quantized becomes int8
  std::int64_t activation_bits = 16;  ///< of what quantized weights are multiplied with: 16 or 8
  /// Float matrices outside the layers that are stored in 12 bits, by module, and the exceptions
  /// that a row block has room for.
  std::map<std::string, std::int64_t> in_12_bits = {};

  std::int64_t GroupOf(std::string_view linear) const {
    return float_linears.contains(linear) ? 0 : group;
  }

  /// Float matrix `module` outside the layers, as it is stored.
  Weight FloatMatrix(const std::string& module, Range rows, Range columns) const;
};

/// Name in the weights of the table of rope frequencies; all other names are the checkpoint's.
inline constexpr std::string_view kFrequenciesName = "rope.frequencies";

/// The schedule of program `program` for die `die` of the plan. Pure; graph and plan must belong
/// together. kUnimplemented names a graph that has not the form of a decoder that dies can run.
Result<Schedule> BuildSchedule(const graph::Graph& graph, const WeightFormats& formats,
                               const ShardPlan& plan, std::int64_t die, const ProgramId& program,
                               std::int64_t max_kv, const ProgramInputs& inputs);

/// Full name of a weight: `layer` in front where there is one.
std::string FullName(const Schedule& schedule, WeightId id, std::int64_t layer);

}  // namespace tyllm::plan
