// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/bound_weights.h"

#include <array>
#include <cstring>
#include <string>

#include "worker/die/linear_f16_in_12.h"
#include "worker/die/row_lanes.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::simulator {

namespace {

constexpr std::uint64_t kAlignment = 64;

/// Behind the schedule's bindings: where the range of the shard's vocabulary rows (two int32) is in
/// the constants, so that dies of one shape share their code.
constexpr std::int64_t kExtraBindings = 1;
constexpr std::uint64_t kRangeBytes = 2 * sizeof(std::int32_t);

constexpr std::string_view kRangeName = "shard.vocabulary";

Status Damaged(const artifact::ParamsFile& file, const std::string& why) {
  return DataLoss(file.path().string() + ": " + why + "; compile the model again");
}

/// That `offset` is where the file has `name`, and that it has `bytes` there.
Status CheckPlace(const artifact::ParamsFile& file, const std::string& name, std::uint64_t offset,
                  std::uint64_t bytes) {
  const auto found = file.params().find(name);
  if (found == file.params().end()) {
    return Damaged(file, "there is no tensor " + name + ", which buffer_config.json stands for");
  }
  const artifact::Param& param = found->second;
  if (param.bytes.size() != bytes) {
    return Damaged(file, "tensor " + name + " has " + std::to_string(param.bytes.size()) +
                             " bytes, expected " + std::to_string(bytes) +
                             " as buffer_config.json says");
  }
  if (param.offset != offset || offset % kAlignment != 0) {
    return DataLoss("parameter " + name + " is bound to byte " + std::to_string(offset) +
                    ", expected byte " + std::to_string(param.offset) + " of " +
                    file.path().string() + ", a multiple of " + std::to_string(kAlignment) +
                    "; compile the model again");
  }
  return OkStatus();
}

/// Exceptions of every row block are as many as there is room for, and in the order of columns that
/// the matrix has: kernels write where they point.
Status CheckExceptions(const artifact::ParamsFile& file, const std::string& name,
                       const plan::Weight& weight, std::span<const std::byte> packed) {
  const std::uint64_t head = die::In12HeadBytes(static_cast<std::uint64_t>(weight.exceptions));
  const std::uint64_t bytes = plan::RowBlockBytes(weight);
  for (std::uint64_t at = 0; at + bytes <= packed.size(); at += bytes) {
    const die::BlockIn12 block{packed.data() + at, head};
    bool fine = block.Exceptions() >= 0 && block.Exceptions() <= weight.exceptions;
    int column = 0;
    for (int i = 0; fine && i < block.Exceptions(); ++i) {
      const int next = block.Exception(i).column();
      fine = next >= column && next < weight.columns.size();
      column = next;
    }
    if (!fine) {
      return Damaged(file, "row block " + std::to_string(at / bytes) + " of tensor " + name +
                               " has exceptions outside of itself, expected at most " +
                               std::to_string(weight.exceptions) + " in columns 0 to " +
                               std::to_string(weight.columns.size() - 1) + " in order");
    }
  }
  file.Forget(packed);  // whoever only looks at a model does not keep its table
  return OkStatus();
}

/// That the constants are those of the rows of the vocabulary that the die has.
Status CheckVocabulary(const artifact::ParamsFile& constant, const plan::Range& expected,
                       std::uint64_t offset) {
  TYLLM_TRY(CheckPlace(constant, std::string(kRangeName), offset, kRangeBytes));
  std::array<std::int32_t, 2> found{};
  std::memcpy(found.data(), constant.bytes().data() + offset, sizeof(found));
  if (found[0] == expected.begin && found[1] == expected.end) {
    return OkStatus();
  }
  return Damaged(constant, "it is for rows " + std::to_string(found[0]) + " to " +
                               std::to_string(found[1]) + " of the vocabulary, expected " +
                               std::to_string(expected.begin) + " to " +
                               std::to_string(expected.end) + ": is it another die's?");
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
                                        const artifact::ParamsFile& common,
                                        const artifact::ParamsFile& constant,
                                        std::span<const std::uint64_t> bindings) {
  if (std::ssize(bindings) != schedule.binding_count() + kExtraBindings) {
    return DataLoss("there are " + std::to_string(bindings.size()) + " bindings, the program has " +
                    std::to_string(schedule.binding_count() + kExtraBindings) +
                    "; compile the model again");
  }
  BoundWeights bound(schedule, common.bytes(), constant.bytes(), bindings);
  for (const auto& [id, layer] : AllWeights(schedule)) {
    const plan::Weight& weight = bound.WeightOf(id, layer);
    const artifact::ParamsFile& file =
        weight.kind == plan::WeightKind::kFrequencies ? constant : common;
    const std::uint64_t offset = bindings[static_cast<std::size_t>(schedule.BindingOf(id, layer))];
    const std::string name = plan::FullName(schedule, id, layer) +
                             (weight.kind == plan::WeightKind::kInt8 ? ".int8" : "");
    const std::uint64_t bytes = plan::WeightBytes(weight);
    TYLLM_TRY(CheckPlace(file, name, offset, bytes));
    if (weight.kind == plan::WeightKind::kHalfIn12) {
      TYLLM_TRY(CheckExceptions(file, name, weight, file.bytes().subspan(offset, bytes)));
    }
  }
  TYLLM_TRY(CheckVocabulary(constant, schedule.shard.vocabulary, bindings.back()));
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
