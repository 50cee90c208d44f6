// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "worker/plan/tower_schedule.h"

namespace tyllm::plan {

/// Turns the nodes of one block of a tower into the steps of its kind. A linear layer whose input
/// is cut makes a part of a sum: its segment ends there.
class TowerTranslator {
 public:
  /// `features`: the block makes an output of the tower instead of hidden rows. References outlive
  /// the translator; its buffers are added to the schedule.
  TowerTranslator(TowerSchedule& schedule, const graph::Block& block, bool features)
      : schedule_(schedule), block_(block), features_(features) {}

  /// Once.
  Result<TowerBlockKind> Translate(std::string kind_name);

 private:
  /// Which part of its columns a die has of a value.
  enum class Sharding : std::uint8_t { kWhole, kPixels, kHeads, kInner, kMerged };

  /// Where a value is.
  struct Slot {
    TowerBufferId buffer = -1;  ///< -1: this die has none of it, or it is an input
    std::int64_t rows = 0;
    std::int64_t columns = 0;  ///< of the buffer's rows
    Sharding sharding = Sharding::kWhole;
    bool is_places = false;
  };

  Status TranslateNode(const graph::Node& node);
  Status TranslateNorm(const graph::Node& node);
  Status TranslateLinear(const graph::Node& node);
  Status TranslateAttention(const graph::Node& node);
  Status TranslateActivation(const graph::Node& node);
  Status TranslateAdd(const graph::Node& node);
  Status TranslateMerge(const graph::Node& node);
  void TranslateGather(const graph::Node& node, TowerInputKind order);
  void TranslateRope(const graph::Node& node);

  Result<Sharding> ShardingOfReaders(const graph::Node& node) const;
  Range PartOf(Sharding sharding, std::int64_t all) const;
  Status Unsupported(std::string_view why) const;

  const Slot& SlotOf(graph::ValueId value) const { return slots_[static_cast<std::size_t>(value)]; }

  void Bind(graph::ValueId value, const Slot& slot) {
    slots_[static_cast<std::size_t>(value)] = slot;
  }

  Slot NewRows(const graph::Node& node, std::int64_t rows, std::int64_t columns, Sharding sharding);
  TowerBufferId AddBuffer(TowerBuffer buffer);
  std::vector<std::int32_t> LinearWeights(const graph::Node& node, Range rows, Range columns,
                                          std::int64_t in_columns, bool sums);
  std::int32_t AddVector(const std::string& tensor, std::int64_t size);
  std::string RelativeName(const std::string& name) const;

  void Emit(TowerStep step) { steps_.push_back(std::move(step)); }

  void CloseSegment(const Slot& sum);
  void Rename(TowerBufferId from, TowerBufferId to);
  /// The block's output becomes hidden rows or features.
  Status PlaceOutput();

  TowerSchedule& schedule_;
  const graph::Block& block_;
  bool features_;
  std::vector<Slot> slots_;
  std::vector<TowerStep> steps_;
  TowerBlockKind kind_;
};

}  // namespace tyllm::plan
