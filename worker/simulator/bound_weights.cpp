// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/bound_weights.h"

#include <cstring>
#include <string>

#include "worker/die/row_lanes.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::simulator {

namespace {

constexpr std::uint64_t kAlignment = 64;

/// Behind the schedule's bindings: where the range of the shard's vocabulary rows (two int32) is in
/// the constants, so that dies of one shape share their code.
constexpr std::int64_t kExtraBindings = 1;
constexpr std::uint64_t kRangeBytes = 2 * sizeof(std::int32_t);

bool Fits(std::uint64_t offset, std::uint64_t bytes, std::uint64_t file) {
  return offset % kAlignment == 0 && offset <= file && bytes <= file - offset;
}

Status OutsideFile(const std::string& name, std::uint64_t offset, std::uint64_t bytes,
                   std::uint64_t file) {
  return DataLoss("parameter " + name + " is bound to " + std::to_string(bytes) + " bytes at " +
                  std::to_string(offset) + ", expected a multiple of 64 inside a file of " +
                  std::to_string(file) + " bytes; compile the model again");
}

/// Every weight with its layer: those outside the layers, then each layer's.
std::vector<std::pair<plan::WeightId, std::int64_t>> AllWeights(const plan::Schedule& schedule) {
  std::vector<std::pair<plan::WeightId, std::int64_t>> all;
  const auto outside = static_cast<plan::WeightId>(schedule.weights.size());
  for (plan::WeightId id = 0; id < outside; ++id) {
    all.emplace_back(id, -1);
  }
  for (std::size_t layer = 0; layer < schedule.kind_of_layer.size(); ++layer) {
    const auto kind = static_cast<std::size_t>(schedule.kind_of_layer[layer]);
    const auto count = static_cast<plan::WeightId>(schedule.layer_kinds[kind].weights.size());
    for (plan::WeightId id = 0; id < count; ++id) {
      all.emplace_back(outside + id, static_cast<std::int64_t>(layer));
    }
  }
  return all;
}

}  // namespace

Result<BoundWeights> BoundWeights::Bind(const plan::Schedule& schedule,
                                        std::span<const std::byte> common,
                                        std::span<const std::byte> constant,
                                        std::span<const std::uint64_t> bindings) {
  if (std::ssize(bindings) != schedule.binding_count() + kExtraBindings) {
    return DataLoss("there are " + std::to_string(bindings.size()) + " bindings, the program has " +
                    std::to_string(schedule.binding_count() + kExtraBindings) +
                    "; compile the model again");
  }
  BoundWeights bound(schedule, common, constant, bindings);
  for (const auto& [id, layer] : AllWeights(schedule)) {
    const plan::Weight& weight = bound.WeightOf(id, layer);
    const std::uint64_t file =
        weight.kind == plan::WeightKind::kFrequencies ? constant.size() : common.size();
    const std::uint64_t offset = bindings[static_cast<std::size_t>(schedule.BindingOf(id, layer))];
    const std::uint64_t bytes = plan::WeightBytes(weight);
    if (!Fits(offset, bytes, file)) {
      return OutsideFile(plan::FullName(schedule, id, layer), offset, bytes, file);
    }
  }
  if (!Fits(bindings.back(), kRangeBytes, constant.size())) {
    return OutsideFile("the range of the vocabulary", bindings.back(), kRangeBytes,
                       constant.size());
  }
  return bound;
}

const plan::Weight& BoundWeights::WeightOf(plan::WeightId id, std::int64_t layer) const {
  const std::int32_t kind =
      layer < 0 ? 0 : schedule_->kind_of_layer[static_cast<std::size_t>(layer)];
  return schedule_->WeightOf(id, kind);
}

std::span<const std::byte> BoundWeights::BytesOf(plan::WeightId id, std::int64_t layer,
                                                 std::uint64_t bytes) const {
  const bool is_table = WeightOf(id, layer).kind == plan::WeightKind::kFrequencies;
  const auto binding = static_cast<std::size_t>(schedule_->BindingOf(id, layer));
  return (is_table ? constant_ : common_).subspan(bindings_[binding], bytes);
}

std::span<const std::byte> BoundWeights::Packed(plan::WeightId id, std::int64_t layer) const {
  return BytesOf(id, layer, plan::WeightBytes(WeightOf(id, layer)));
}

std::span<const float> BoundWeights::Vector(plan::WeightId id, std::int64_t layer) const {
  const auto columns = static_cast<std::size_t>(WeightOf(id, layer).columns.size());
  const std::span<const std::byte> bytes = BytesOf(id, layer, columns * sizeof(float));
  return {reinterpret_cast<const float*>(bytes.data()), columns};
}

std::span<const std::byte> BoundWeights::RowBlock(plan::WeightId id, std::int64_t layer,
                                                  std::int64_t block) const {
  const plan::Weight& weight = WeightOf(id, layer);
  const std::uint64_t block_bytes = plan::RowBlockBytes(weight);
  const auto first = static_cast<std::uint64_t>(block) * block_bytes;
  return BytesOf(id, layer, first + block_bytes).subspan(first);
}

void BoundWeights::ReadRowBlock(plan::WeightId id, std::int64_t layer, std::int64_t block,
                                std::vector<float>& out) const {
  const plan::Weight& weight = WeightOf(id, layer);
  const std::int64_t columns = weight.columns.size();
  out.resize(static_cast<std::size_t>(columns) * die::kRowBlock);
  const std::span<const std::byte> bytes = RowBlock(id, layer, block);
  switch (weight.kind) {
    case plan::WeightKind::kInt4:
      return UnpackLinear4Block(bytes, columns, weight.group, out);
    case plan::WeightKind::kInt8:
      return UnpackLinear8Block(bytes, columns, weight.group, out);
    case plan::WeightKind::kHalf:
      return UnpackF16Block(bytes, columns, out);
    case plan::WeightKind::kHalfIn12:
      return UnpackF16In12Block(bytes, columns, weight.exceptions, out);
    case plan::WeightKind::kVector:
    case plan::WeightKind::kFrequencies:
      return;  // no matrices
  }
}

Linear4Codes BoundWeights::ReadCodes(plan::WeightId id, std::int64_t layer,
                                     std::int64_t block) const {
  const plan::Weight& weight = WeightOf(id, layer);
  return UnpackLinear4Codes(RowBlock(id, layer, block), weight.columns.size(), weight.group);
}

}  // namespace tyllm::simulator
