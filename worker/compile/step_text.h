// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/plan/schedule.h"

namespace tyllm::compile {

/// Names that generated code uses for what a schedule numbers.
class ScheduleNames {
 public:
  explicit ScheduleNames(const plan::Schedule& schedule);

  const std::string& Buffer(plan::BufferId id) const {
    return buffers_[static_cast<std::size_t>(id)];
  }

  /// `kind` is the layer kind that the weight belongs to; any for those outside layers.
  const std::string& Weight(plan::WeightId id, std::int32_t kind) const;
  /// Of the function of a phase of a segment in layers of kind `kind`.
  std::string Function(std::string_view segment, std::string_view phase, std::size_t kind) const;
  /// Of the table of a segment's phases.
  std::string Table(std::string_view segment, std::size_t kind) const;

 private:
  std::vector<std::string> buffers_;
  std::vector<std::string> weights_;
  std::vector<std::vector<std::string>> layer_weights_;
};

/// Writes steps as calls of kernels, each line indented by two spaces.
class StepWriter {
 public:
  /// `in_layer`: the function that is written has a parameter `layer`.
  StepWriter(const plan::Schedule& schedule, const ScheduleNames& names, std::int32_t kind,
             bool in_layer)
      : schedule_(schedule), names_(names), kind_(kind), layer_(in_layer) {}

  /// The steps of a phase.
  std::string Write(std::span<const plan::Step> phase) const;
  /// Calls that ask for what a part of the phase will read first; empty if there is nothing.
  std::string Fetch(std::span<const plan::Step> phase) const;

 private:
  std::string Write(const plan::Step& step, const std::string& blocks) const;
  std::string Zero(const plan::Step& step) const;
  std::string Embed(const plan::Step& step) const;
  std::string CopyEmbeddings(const plan::Step& step) const;
  std::string AddDeepstack(const plan::Step& step) const;
  std::string RopeTable(const plan::Step& step) const;
  std::string AddRmsNorm(const plan::Step& step) const;
  std::string Quantize(const plan::Step& step) const;
  std::string Linear(const plan::Step& step, const std::string& blocks) const;
  std::string HeadRmsNorm(const plan::Step& step) const;
  std::string Rope(const plan::Step& step) const;
  std::string StoreKv(const plan::Step& step) const;
  std::string Attention(const plan::Step& step) const;
  std::string SiluMul(const plan::Step& step) const;

  const plan::Buffer& BufferOf(plan::BufferId id) const {
    return schedule_.buffers[static_cast<std::size_t>(id)];
  }

  /// Row blocks of a product, and this part's slice of them: parts are cut from those of all
  /// products of the phase, one after another.
  std::int64_t BlocksOf(const plan::Step& step) const;
  std::string BlockSlice(std::span<const plan::Step> phase, const plan::Step& step) const;
  /// How many rows a step runs on, and this part's slice of them.
  static std::string Tokens(const plan::Step& step);
  static std::string TokenSlice(const plan::Step& step);
  /// Columns of a buffer as a number.
  std::string Columns(plan::BufferId id) const;
  /// "At(die, kResidual)"
  std::string At(plan::BufferId id) const;
  /// Whether a buffer of activations holds int8 (QuantizeToBytes), not int16.
  bool AsBytes(plan::BufferId activations) const;
  /// The activations in a buffer.
  std::string Activations(plan::BufferId id) const;
  /// Index of a weight in the bindings table.
  std::string Binding(plan::WeightId id) const;
  std::string History() const;

  const plan::Schedule& schedule_;
  const ScheduleNames& names_;
  std::int32_t kind_;
  bool layer_;
};

}  // namespace tyllm::compile
