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
      std::to_string(shape.intermediate) + " intermediate columns (quantization group " +
      std::to_string(group) + ") and a vocabulary of " + std::to_string(shape.vocabulary) +
      "; compile it for at most " + std::to_string(most) + (most == 1 ? " die" : " dies"));
}

/// Collects what is wrong with a model and a split.
class Problems {
 public:
  explicit Problems(std::vector<Status>& all) : all_(all) {}

  void Add(const std::string& text) { all_.push_back(InvalidArgument(text)); }

  void CheckMultiple(std::string_view what, std::int64_t value, std::int64_t step) {
    if (value % step != 0) {
      Add("the model's " + std::string(what) + " is " + std::to_string(value) +
          ", expected a multiple of " + std::to_string(step) + ": the die kernels take no other");
    }
  }

  void CheckGroup(const model::ModelShape& shape, std::int64_t group) {
    if (group == 0) {
      return;
    }
    if (group % kColumnStep != 0) {
      Add("quantization group " + std::to_string(group) + " is not a multiple of " +
          std::to_string(kColumnStep) +
          ", which the die kernels need; quantize with group 32, 64 or 128");
    }
    if (group > kMostGroup) {
      Add("quantization group is " + std::to_string(group) + ", expected at most " +
          std::to_string(kMostGroup) +
          ": the die kernels take no larger one; quantize with group 32, 64 or 128");
    }
    for (const std::int64_t columns : {shape.width, shape.q_columns(), shape.intermediate}) {
      if (columns % group != 0) {
        Add("quantization group " + std::to_string(group) + " does not divide " +
            std::to_string(columns) + " columns of the model");
        return;
      }
    }
  }

  void CheckSplit(const Split& split) {
    if (split.dies < 1) {
      Add("number of dies is " + std::to_string(split.dies) + ", expected at least 1");
      return;
    }
    if (split.reduce_group < 0 ||
        (split.reduce_group > 0 && split.dies % split.reduce_group != 0)) {
      Add("reduce group is " + std::to_string(split.reduce_group) + ", expected a divisor of " +
          std::to_string(split.dies) + " dies, or 0");
    }
    const std::int64_t most = split.reduce_group > 0 ? split.reduce_group : split.dies;
    if (split.attention_dies < 0 || split.attention_dies > most) {
      Add("attention dies are " + std::to_string(split.attention_dies) + ", expected 1 to " +
          std::to_string(most) + ", or 0");
    }
  }

 private:
  std::vector<Status>& all_;
};

/// Dies of a reduce group that have heads.
std::int64_t AttentionDies(const model::ModelShape& shape, const Split& split,
                           std::int64_t reduce_group) {
  return split.attention_dies > 0 ? std::min(split.attention_dies, shape.heads)
                                  : FewestDies(shape.heads, reduce_group);
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

std::int64_t FewestDies(std::int64_t heads, std::int64_t dies) {
  const std::int64_t most = std::min(heads, dies);
  const std::int64_t largest_share = (heads + most - 1) / most;
  return (heads + largest_share - 1) / largest_share;
}

std::int64_t MaxDies(const model::ModelShape& shape, std::int64_t group) {
  const std::int64_t finest =
      IntermediateUnit(shape.intermediate, group, std::numeric_limits<std::int64_t>::max());
  return std::min(shape.intermediate / finest, shape.vocabulary);
}

std::vector<Status> ShardProblems(const model::ModelShape& shape, std::int64_t group,
                                  const Split& split) {
  std::vector<Status> all;
  Problems problems(all);
  problems.CheckMultiple("hidden size", shape.width, kLane);
  problems.CheckMultiple("head size", shape.head_size, kHeadStep);
  problems.CheckMultiple("intermediate size", shape.intermediate, kLane);
  problems.CheckGroup(shape, group);
  problems.CheckSplit(split);
  if (all.empty() && split.dies > MaxDies(shape, group)) {
    all.push_back(TooManyDies(shape, group, split.dies));
  }
  return all;
}

Result<ShardPlan> ShardModel(const model::ModelShape& shape, std::int64_t group,
                             const Split& split) {
  for (Status& problem : ShardProblems(shape, group, split)) {
    return std::move(problem);
  }
  ShardPlan plan;
  plan.reduce_group = split.reduce_group > 0 ? split.reduce_group : split.dies;
  const std::int64_t unit = IntermediateUnit(shape.intermediate, group, split.dies);
  const std::int64_t vocabulary_unit =
      shape.vocabulary / kVocabularyStep >= split.dies ? kVocabularyStep : 1;
  std::vector<Range> heads =
      SplitEvenly(shape.heads, 1, AttentionDies(shape, split, plan.reduce_group));
  const std::vector<Range> cuts = heads;
  heads.resize(static_cast<std::size_t>(plan.reduce_group), {shape.heads, shape.heads});
  const std::vector<Range> intermediate = SplitEvenly(shape.intermediate, unit, split.dies);
  const std::vector<Range> vocabulary = SplitEvenly(shape.vocabulary, vocabulary_unit, split.dies);
  for (std::size_t die = 0; die < intermediate.size(); ++die) {
    const Range& own = heads[die % heads.size()];
    plan.dies.push_back(
        {own, KvHeadsOf(own, shape.queries_per_kv()), intermediate[die], vocabulary[die]});
  }
  plan.attention_group = group == 0 ? 0 : EffectiveGroup(group, cuts, shape.head_size);
  plan.mlp_group = group == 0 ? 0 : EffectiveGroup(group, intermediate, 1);
  if (plan.attention_group % kColumnStep != 0) {
    return InvalidArgument("heads of " + std::to_string(shape.head_size) +
                           " columns cannot be cut at multiples of " + std::to_string(kColumnStep) +
                           " columns over " + std::to_string(cuts.size()) +
                           " dies; compile for fewer dies, or name fewer attention dies");
  }
  return plan;
}

}  // namespace tyllm::plan
