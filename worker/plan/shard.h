// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/result.h"
#include "worker/model/model_shape.h"

namespace tyllm::plan {

/// [begin, end).
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }

  bool operator==(const Range&) const = default;
};

/// What one die holds of a model.
struct DieShard {
  Range heads;         ///< query heads: rows of q_proj, columns of o_proj; may be none
  Range kv_heads;      ///< KV heads that those need; neighbours may hold the same one
  Range intermediate;  ///< rows of gate_proj and up_proj, columns of down_proj
  Range vocabulary;    ///< rows of the embedding table and of the head
  bool operator==(const DieShard&) const = default;
};

/// Over how many dies the parts of a layer are cut.
struct Split {
  std::int64_t dies = 1;
  /// Dies that have query heads, of each reduce group; 0: the fewest with which no die has more
  /// heads than the most even split gives it.
  std::int64_t attention_dies = 0;
  /// Dies that sum an attention among themselves: every group of so many dies has all heads. A
  /// divisor of `dies`; 0: all dies are one group.
  std::int64_t reduce_group = 0;
};

/// A model cut for tensor parallelism. Intermediate columns and vocabulary are covered once, heads
/// once in each reduce group; in die order, contiguously.
struct ShardPlan {
  std::vector<DieShard> dies;
  std::int64_t reduce_group = 1;  ///< dies that sum an attention
  /// Quantization group of the sharded inputs of o_proj and down_proj: the checkpoint's group, or a
  /// divisor of it where a cut falls inside a group (its scale and zero are then repeated). 0 for a
  /// float model.
  std::int64_t attention_group = 0;
  std::int64_t mlp_group = 0;
  bool operator==(const ShardPlan&) const = default;
};

/// Smallest quantization group that kernels take; every cut of quantized columns is a multiple.
inline constexpr std::int64_t kColumnStep = 32;
/// Largest one: the sums of a group in 16 bits would overflow.
inline constexpr std::int64_t kMostGroup = 512;
/// The vocabulary is cut at multiples of this where it is large enough.
inline constexpr std::int64_t kVocabularyStep = 16;

/// `group` is the checkpoint's group size, 0 when nothing is quantized. Heads are split as evenly
/// as their number allows (8 heads on 3 dies: 3, 3, 2); the intermediate columns along quantization
/// groups, or along a divisor of the group when there are fewer groups than dies. More dies than
/// MaxDies is kInvalidArgument naming what there is too little of.
Result<ShardPlan> ShardModel(const model::ModelShape& shape, std::int64_t group,
                             const Split& split);

inline Result<ShardPlan> ShardModel(const model::ModelShape& shape, std::int64_t group,
                                    std::int64_t dies) {
  return ShardModel(shape, group, Split{dies});
}

/// Everything that keeps ShardModel from cutting the model so; empty when nothing does.
std::vector<Status> ShardProblems(const model::ModelShape& shape, std::int64_t group,
                                  const Split& split);

/// The fewest dies, at most `dies`, whose largest share of `heads` is that of the most even split:
/// 14 heads on 16 dies: 14; 12 on 4: 4; 4 on 3: 2.
std::int64_t FewestDies(std::int64_t heads, std::int64_t dies);

/// The largest number of dies that ShardModel accepts for the model.
std::int64_t MaxDies(const model::ModelShape& shape, std::int64_t group);

/// Width of `total` cut into `parts` as evenly as units of `unit` allow; earlier parts are larger.
/// The last part ends at `total`, which need not be a multiple.
std::vector<Range> SplitEvenly(std::int64_t total, std::int64_t unit, std::int64_t parts);

}  // namespace tyllm::plan
