// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/result.h"
#include "worker/die/abi.h"
#include "worker/graph/tower.h"
#include "worker/graph/tower_layout.h"
#include "worker/plan/shard.h"

// A visual tower on dies, for images of one size, as data: read by the code generator, the writer
// of its weights and the simulator (docs/adr/0072-towers-on-dies.md).
namespace tyllm::plan {

/// What one die holds of a tower.
struct TowerShard {
  Range heads;   ///< of q, k and v, and columns of the projection behind them; may be none
  Range pixels;  ///< numbers of a patch: columns of the patch embedding
  Range inner;   ///< rows of fc1 (and of its gate), columns of fc2
  Range merged;  ///< rows of the mergers' first layer, columns of their second

  bool operator==(const TowerShard&) const = default;
};

/// Widths are split as evenly as steps of 16 allow, heads over as few dies as have the smallest
/// largest share (4 heads on 3 dies: 2, 2, 0). Earlier dies have more. More dies than there are
/// steps of 16 in a patch or a layer is kInvalidArgument.
Result<std::vector<TowerShard>> ShardTower(const model::VisionShape& shape, std::int64_t dies);

/// A number that is a row's size in memory: products are computed in blocks of 16 rows of weights.
constexpr std::int64_t PaddedColumns(std::int64_t columns) {
  return (columns + 15) / 16 * 16;
}

/// What the program takes besides its weights: pixels, and what is the same for all images of the
/// size.
enum class TowerInputKind : std::uint8_t {
  kPixels,       ///< binary16 [patches, patch_values]
  kPlaces,       ///< binary16 [patches, width]: interpolated position embeddings
  kRotations,    ///< float32 [patches, head_size]: cosines, then sines
  kFrameEnds,    ///< int32 [frames]
  kWindowEnds,   ///< int32 [windows]
  kToWindows,    ///< int32 [patches]
  kFromWindows,  ///< int32 [tokens]
};

inline constexpr EnumTable<TowerInputKind, 7> kTowerInputNames(
    "input of a visual tower", {{{TowerInputKind::kPixels, "pixel_values"},
                                 {TowerInputKind::kPlaces, "position_embeddings"},
                                 {TowerInputKind::kRotations, "rotations"},
                                 {TowerInputKind::kFrameEnds, "frame_ends"},
                                 {TowerInputKind::kWindowEnds, "window_ends"},
                                 {TowerInputKind::kToWindows, "to_windows"},
                                 {TowerInputKind::kFromWindows, "from_windows"}}});

constexpr const auto& NamesOf(TowerInputKind) {
  return kTowerInputNames;
}

enum class TowerElement : std::uint8_t { kFloat16, kFloat32, kInt32 };

inline constexpr EnumTable<TowerElement, 3> kTowerElementNames(
    "element of an input", {{{TowerElement::kFloat16, "float16"},
                             {TowerElement::kFloat32, "float32"},
                             {TowerElement::kInt32, "int32"}}});

constexpr const auto& NamesOf(TowerElement) {
  return kTowerElementNames;
}

struct TowerInput {
  TowerInputKind kind = TowerInputKind::kPixels;
  TowerElement element = TowerElement::kFloat32;
  std::vector<std::int64_t> shape;

  bool operator==(const TowerInput&) const = default;
};

/// "2040_1536_[float16]2040_1024_[float16]...": what files of a program with these inputs are
/// named after.
std::string SignatureOf(const std::vector<TowerInput>& inputs);

enum class TowerStepKind : std::uint8_t {
  kZero,         ///< output = 0
  kFirstLinear,  ///< output = this die's columns of the pixels * weight^T + bias
  kLinear,       ///< output = input * weight^T + bias
  kLayerNorm,
  kRmsNorm,
  kRope,        ///< heads of the input, in place
  kPackRuns,    ///< inputs k, v; output: cache
  kAttendRuns,  ///< inputs q, cache, scratch
  kSiluMul,     ///< inputs gate, up; output = gate in place
  kGelu,        ///< in place, as the other two
  kGeluTanh,
  kQuickGelu,
  kAdd,        ///< output (the first input) += the second
  kAddPlaces,  ///< output += position embeddings
  kGather,     ///< rows of the input in the order of an input table
};

inline constexpr EnumTable<TowerStepKind, 15> kTowerStepNames(
    "step of a tower", {{{TowerStepKind::kZero, "zero"},
                         {TowerStepKind::kFirstLinear, "first_linear"},
                         {TowerStepKind::kLinear, "linear"},
                         {TowerStepKind::kLayerNorm, "layer_norm"},
                         {TowerStepKind::kRmsNorm, "rms_norm"},
                         {TowerStepKind::kRope, "rope"},
                         {TowerStepKind::kPackRuns, "pack_runs"},
                         {TowerStepKind::kAttendRuns, "attend_runs"},
                         {TowerStepKind::kSiluMul, "silu_mul"},
                         {TowerStepKind::kGelu, "gelu"},
                         {TowerStepKind::kGeluTanh, "gelu_tanh"},
                         {TowerStepKind::kQuickGelu, "quick_gelu"},
                         {TowerStepKind::kAdd, "add"},
                         {TowerStepKind::kAddPlaces, "add_places"},
                         {TowerStepKind::kGather, "gather"}}});

constexpr const auto& NamesOf(TowerStepKind) {
  return kTowerStepNames;
}

enum class TowerBufferKind : std::uint8_t {
  kRows,     ///< float32 [rows, columns]
  kCache,    ///< keys and values of this die's heads in binary16, die::KvLayerBytes
  kScratch,  ///< die::AttentionScratchFloats of the longest run, for each part
};

/// A place in a die's arena. The first two of a schedule are kHidden and kFeatures.
struct TowerBuffer {
  std::string name;
  TowerBufferKind kind = TowerBufferKind::kRows;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  ///< in the arena, a multiple of 64
};

using TowerBufferId = std::int32_t;
/// Patches between blocks [patches, width].
inline constexpr TowerBufferId kHiddenBuffer = 0;
/// What the tower gives: tokens, then deepstack features, one [tokens, out_width] after the other.
/// In a step it is the one that the running block makes.
inline constexpr TowerBufferId kFeaturesBuffer = 1;

/// A parameter of the blocks of one kind: this die's part of a tensor.
struct TowerWeight {
  std::string tensor;     ///< what follows the block's name and a dot: "attn.qkv.weight"
  std::string name;       ///< of the part, unique in a block: "attn.qkv.q"
  bool is_matrix = true;  ///< binary16 in row blocks of 16; otherwise float32 [packed_rows]
  Range rows;             ///< of the tensor; of a vector: its numbers
  Range columns;          ///< of the tensor's rows, seen as one number after another
  /// What is stored: zeros fill up rows and columns.
  std::int64_t packed_rows = 0;
  std::int64_t packed_columns = 0;
  /// A bias of a layer whose products dies sum: die 0 has it, the others zeros.
  bool once = false;
};

struct TowerStep {
  TowerStepKind kind = TowerStepKind::kZero;
  std::vector<TowerBufferId> inputs;
  TowerBufferId output = -1;
  std::int64_t rows = 0;                           ///< that it makes
  std::int64_t columns = 0;                        ///< of the output
  std::vector<std::int32_t> weights;               ///< of the kind; bias second
  std::int64_t in_columns = 0;                     ///< of linear layers
  TowerInputKind table = TowerInputKind::kPixels;  ///< of kGather, kPackRuns and kAttendRuns
};

/// Steps up to a sum over the dies.
struct TowerSegment {
  std::string name;  ///< "attention", "mlp", ...
  std::vector<TowerStep> steps;
  die::Collective after = die::Collective::kNone;
  TowerBufferId collective = -1;
  std::int64_t elements = 0;  ///< float32 numbers of the sum
};

/// Blocks that run the same steps.
struct TowerBlockKind {
  std::string name;  ///< "patches", "layer", "window_layer", "merger", "deepstack"
  std::vector<TowerWeight> weights;
  std::vector<TowerSegment> segments;
};

/// A block, in running order.
struct TowerBlockRun {
  std::string name;  ///< "visual.blocks.3"
  std::int32_t kind = 0;
  std::int64_t features = -1;  ///< which of the outputs it makes; -1: none
  std::int64_t layer = -1;     ///< of the tower's layers
};

/// The program of one die. Entry b of the bindings table: offsets of the weights of the blocks one
/// after the other in running order, then of the inputs but for the pixels, then of `shard.pixels`.
struct TowerSchedule {
  model::VisionShape shape;
  model::VisualGrid grid;
  std::int64_t dies = 1;  ///< that sum
  TowerShard shard;
  std::vector<TowerInput> inputs;  ///< the pixels first
  std::vector<TowerBuffer> buffers;
  std::vector<TowerBlockKind> kinds;
  std::vector<TowerBlockRun> runs;
  std::uint64_t arena_bytes = 0;
  /// Positions of the attention's cache and the longest run, for frames and for windows.
  std::int64_t frame_capacity = 0;
  std::int64_t frame_longest = 0;
  std::int64_t window_capacity = 0;
  std::int64_t window_longest = 0;

  std::int64_t patches() const { return grid.patches(); }

  std::int64_t tokens() const { return grid.patches() / shape.unit(); }

  std::int64_t heads() const { return shard.heads.size(); }

  /// Tokens and deepstack features.
  std::int64_t outputs() const { return 1 + static_cast<std::int64_t>(shape.deepstack.size()); }

  std::int64_t segment_count() const;
  /// Index in the bindings table of the first weight of run `run`.
  std::int64_t FirstBinding(std::size_t run) const;
  std::int64_t BindingOfInput(TowerInputKind kind) const;
  std::int64_t BindingOfPixels() const;

  std::int64_t binding_count() const { return BindingOfPixels() + 1; }

  const TowerInput* FindInput(TowerInputKind kind) const;
};

/// The program of die `die`. Pure. kUnimplemented names a block that has not the form of a tower
/// that dies can run; kInvalidArgument a shape that kernels do not take.
Result<TowerSchedule> BuildTowerSchedule(const graph::Tower& tower, const model::VisualGrid& grid,
                                         const std::vector<TowerShard>& shards, std::int64_t die);

/// Gives every buffer its place: hidden rows and features for the whole call, the others where no
/// two that a block needs at once meet.
void PlaceTowerBuffers(TowerSchedule& schedule);

}  // namespace tyllm::plan
