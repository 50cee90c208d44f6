// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/shard.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

namespace tyllm::plan {
namespace {

/// Float columns are cut at multiples of this where that gives every die some.
constexpr std::int64_t kFloatStep = 64;
/// Columns that kernels take at once: every width is a multiple.
constexpr std::int64_t kLane = 8;
/// Heads are rotated in halves of whole lanes.
constexpr std::int64_t kHeadStep = 2 * kLane;

/// The unit in which the intermediate columns are dealt out: whole groups, or the largest divisor
/// of a group that gives every die a piece.
std::int64_t IntermediateUnit(std::int64_t intermediate, std::int64_t group, std::int64_t dies) {
  std::int64_t unit = group == 0 ? std::gcd(intermediate, kFloatStep) : group;
  const std::int64_t smallest = group == 0 ? kLane : kColumnStep;
  while (intermediate / unit < dies && unit % 2 == 0 && (unit / 2) % smallest == 0) {
    unit /= 2;
  }
  return unit;
}

/// The largest group that no cut divides.
std::int64_t EffectiveGroup(std::int64_t group, const std::vector<Range>& cuts,
                            std::int64_t scale) {
  std::int64_t effective = group;
  for (const Range& cut : cuts) {
    effective = std::gcd(effective, cut.end * scale);
  }
  return effective;
}

Status TooManyDies(const model::ModelShape& shape, std::int64_t group, std::int64_t dies) {
  const std::int64_t most = MaxDies(shape, group);
  return InvalidArgument(
      "the model cannot be split over " + std::to_string(dies) + " dies: it has " +
      std::to_string(shape.heads) + " query heads and " + std::to_string(shape.intermediate) +
      " intermediate columns (quantization group " + std::to_string(group) +
      "); compile it for at most " + std::to_string(most) + (most == 1 ? " die" : " dies"));
}

Status CheckMultiple(std::string_view what, std::int64_t value, std::int64_t step) {
  if (value % step == 0) {
    return OkStatus();
  }
  return InvalidArgument("the model's " + std::string(what) + " is " + std::to_string(value) +
                         ", expected a multiple of " + std::to_string(step) +
                         ": the die kernels take no other");
}

Status CheckColumns(const model::ModelShape& shape, std::int64_t group) {
  TYLLM_TRY(CheckMultiple("hidden size", shape.width, kLane));
  TYLLM_TRY(CheckMultiple("head size", shape.head_size, kHeadStep));
  TYLLM_TRY(CheckMultiple("intermediate size", shape.intermediate, kLane));
  if (group == 0) {
    return OkStatus();
  }
  if (group % kColumnStep != 0) {
    return InvalidArgument("quantization group " + std::to_string(group) +
                           " is not a multiple of " + std::to_string(kColumnStep) +
                           ", which the die kernels need; quantize with group 32, 64 or 128");
  }
  for (const std::int64_t columns : {shape.width, shape.q_columns(), shape.intermediate}) {
    if (columns % group != 0) {
      return InvalidArgument("quantization group " + std::to_string(group) + " does not divide " +
                             std::to_string(columns) + " columns of the model");
    }
  }
  return OkStatus();
}

Range KvHeadsOf(const Range& heads, std::int64_t queries_per_kv) {
  return {heads.begin / queries_per_kv, (heads.end + queries_per_kv - 1) / queries_per_kv};
}

}  // namespace

std::vector<Range> SplitEvenly(std::int64_t total, std::int64_t unit, std::int64_t parts) {
  const std::int64_t units = (total + unit - 1) / unit;
  std::vector<Range> ranges;
  std::int64_t begin = 0;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t share = units / parts + (part < units % parts ? 1 : 0);
    const std::int64_t end = std::min(total, begin + share * unit);
    ranges.push_back({begin, end});
    begin = end;
  }
  return ranges;
}

std::int64_t MaxDies(const model::ModelShape& shape, std::int64_t group) {
  const std::int64_t finest =
      IntermediateUnit(shape.intermediate, group, std::numeric_limits<std::int64_t>::max());
  return std::min({shape.heads, shape.intermediate / finest, shape.vocabulary});
}

Result<ShardPlan> ShardModel(const model::ModelShape& shape, std::int64_t group,
                             std::int64_t dies) {
  TYLLM_TRY(CheckColumns(shape, group));
  if (dies < 1) {
    return InvalidArgument("number of dies is " + std::to_string(dies) + ", expected at least 1");
  }
  const std::int64_t unit = IntermediateUnit(shape.intermediate, group, dies);
  const std::int64_t vocabulary_unit =
      shape.vocabulary / kVocabularyStep >= dies ? kVocabularyStep : 1;
  if (shape.heads < dies || shape.intermediate / unit < dies || shape.vocabulary < dies) {
    return TooManyDies(shape, group, dies);
  }
  const std::vector<Range> heads = SplitEvenly(shape.heads, 1, dies);
  const std::vector<Range> intermediate = SplitEvenly(shape.intermediate, unit, dies);
  const std::vector<Range> vocabulary = SplitEvenly(shape.vocabulary, vocabulary_unit, dies);
  ShardPlan plan;
  for (std::size_t die = 0; die < heads.size(); ++die) {
    plan.dies.push_back({heads[die], KvHeadsOf(heads[die], shape.queries_per_kv()),
                         intermediate[die], vocabulary[die]});
  }
  plan.attention_group = group == 0 ? 0 : EffectiveGroup(group, heads, shape.head_size);
  plan.mlp_group = group == 0 ? 0 : EffectiveGroup(group, intermediate, 1);
  if (plan.attention_group % kColumnStep != 0) {
    return InvalidArgument("heads of " + std::to_string(shape.head_size) +
                           " columns cannot be cut at multiples of " + std::to_string(kColumnStep) +
                           " columns over " + std::to_string(dies) +
                           " dies; compile for fewer dies");
  }
  return plan;
}

}  // namespace tyllm::plan
