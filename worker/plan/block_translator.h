// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/plan/schedule.h"

namespace tyllm::plan {

/// Buffers that live through a whole call, by fixed position.
inline constexpr BufferId kResidual = 0;
inline constexpr BufferId kPartial = 1;
inline constexpr BufferId kRope = 2;
/// Of a value that this die does not have any of.
inline constexpr BufferId kNowhere = -1;

/// kUnimplemented: `why` says what of the block dies cannot run.
Status NotADecoder(const graph::Block& block, std::string_view why);

/// Turns the nodes of one layer, or of the head, into steps. Cuts a segment after each linear layer
/// whose input is sharded: its output is this die's part of a sum.
class BlockTranslator {
 public:
  /// New weights go to `weights`, of which the first has number `first_weight`: 0 for the head.
  /// `suffix` ends the names of the block's buffers. References outlive the translator.
  BlockTranslator(Schedule& schedule, const WeightFormats& formats, const ShardPlan& plan,
                  const graph::Block& block, std::vector<Weight>& weights, WeightId first_weight,
                  std::string suffix = {});

  /// The block's input is the residual. Once.
  Result<std::vector<SegmentPlan>> Translate();

  /// Where the block's output is afterwards.
  BufferId output() const { return BufferOf(block_.output); }

 private:
  /// Which part of its columns a die has of a value.
  enum class Sharding : std::uint8_t { kWhole, kHeads, kKvHeads, kIntermediate, kVocabulary, kSum };

  Status TranslateNode(const graph::Node& node);
  Status TranslateNorm(const graph::Node& node);
  Status TranslateInPlace(const graph::Node& node);
  Status TranslateLinear(const graph::Node& node);
  Status TranslateAbsent(const graph::Node& node, Sharding out);
  Status TranslateAttention(const graph::Node& node);
  Status TranslateSiluMul(const graph::Node& node);
  Status TranslateAdd(const graph::Node& node);

  /// What the readers of a linear layer's output want of it.
  Sharding ShardingOfReaders(graph::ValueId value) const;
  /// The part of `all` columns that a value so sharded has.
  Range PartOf(Sharding sharding, std::int64_t all) const;
  std::int64_t EffectiveGroup(Sharding input) const;
  std::int64_t GroupOf(Sharding input) const;

  WeightId AddLinear(const std::string& module, Sharding input, Range rows, std::int64_t columns);
  WeightId AddVector(const std::string& tensor, Range columns);
  WeightId AddWeight(const Weight& weight);
  std::string RelativeName(const std::string& name) const;

  /// The value in 16-bit groups: made once for all linear layers that read it.
  BufferId Quantized(graph::ValueId value, std::int64_t group);
  BufferId AddBuffer(graph::ValueId value, std::int64_t columns);
  void CloseSegment(die::Collective after, BufferId collective, std::int64_t group);

  bool is_head() const { return first_weight_ == 0; }

  /// Only the last token's logits are wanted: everything after the first norm has one row.
  bool single() const { return is_head() && !EveryLogit(schedule_.program.kind); }

  StepRows Rows() const { return single() ? StepRows::kSingle : StepRows::kTokens; }

  StepRows NormRows() const { return single() ? StepRows::kLast : StepRows::kTokens; }

  void Emit(Step step) { steps_.push_back(std::move(step)); }

  const graph::Value& ValueOf(graph::ValueId value) const {
    return block_.values[static_cast<std::size_t>(value)];
  }

  BufferId BufferOf(graph::ValueId value) const {
    return buffers_[static_cast<std::size_t>(value)];
  }

  Sharding ShardingOf(graph::ValueId value) const {
    return shardings_[static_cast<std::size_t>(value)];
  }

  void Bind(graph::ValueId value, BufferId buffer, Sharding sharding) {
    buffers_[static_cast<std::size_t>(value)] = buffer;
    shardings_[static_cast<std::size_t>(value)] = sharding;
  }

  Schedule& schedule_;
  const WeightFormats& formats_;
  const ShardPlan& plan_;
  const graph::Block& block_;
  std::vector<Weight>& weights_;
  WeightId first_weight_;
  std::string suffix_;
  std::vector<Sharding> shardings_;  ///< [values]
  std::vector<BufferId> buffers_;    ///< [values]
  std::map<std::pair<BufferId, std::int64_t>, BufferId> quantized_;
  std::vector<Step> steps_;
  std::vector<SegmentPlan> segments_;
};

}  // namespace tyllm::plan
