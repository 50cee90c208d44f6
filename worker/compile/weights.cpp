// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/weights.h"

#include <array>

#include "worker/compile/generate.h"
#include "worker/die/packing.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::compile {
namespace {

using artifact::Element;
using artifact::ParamSpec;
using plan::Schedule;
using plan::Weight;
using plan::WeightId;
using plan::WeightKind;

ParamSpec SpecOf(const PackedWeight& bound) {
  const Weight& weight = *bound.weight;
  if (weight.kind == WeightKind::kVector) {
    return {bound.name, Element::kFloat32, {weight.columns.size()}};
  }
  // A tied table may be there twice, as binary16 for the embedding and as int8 for the head.
  return {
      bound.name + (weight.kind == WeightKind::kInt8 ? ".int8" : ""),
      Element::kUint8,
      {die::RowBlocks(weight.rows.size()), static_cast<std::int64_t>(plan::RowBlockBytes(weight))}};
}

/// Writes a dictionary that is small enough to be in memory.
Status WriteSmall(FileSystem& files, const Path& path, const std::vector<ParamSpec>& specs,
                  const std::vector<std::span<const std::byte>>& data) {
  Path unfinished = path;
  unfinished += ".tmp";
  TYLLM_ASSIGN(artifact::ParamsWriter writer,
               artifact::ParamsWriter::Create(files, unfinished, specs));
  for (std::size_t i = 0; i < data.size(); ++i) {
    TYLLM_TRY(writer.Append(i, data[i]));
  }
  TYLLM_TRY(writer.Finish());
  return files.Rename(unfinished, path);
}

}  // namespace

std::vector<PackedWeight> PackedWeights(const Schedule& schedule) {
  std::vector<PackedWeight> all;
  const auto add = [&](WeightId id, std::int64_t layer, const Weight& weight) {
    if (weight.kind != WeightKind::kFrequencies) {
      all.push_back(
          {&weight, plan::FullName(schedule, id, layer), layer, schedule.BindingOf(id, layer)});
    }
  };
  const auto globals = static_cast<WeightId>(schedule.weights.size());
  for (WeightId id = 0; id < globals; ++id) {
    add(id, -1, schedule.weights[static_cast<std::size_t>(id)]);
  }
  for (std::int64_t layer = 0; layer < std::ssize(schedule.kind_of_layer); ++layer) {
    const std::int32_t kind = schedule.kind_of_layer[static_cast<std::size_t>(layer)];
    const auto& weights = schedule.layer_kinds[static_cast<std::size_t>(kind)].weights;
    for (std::size_t w = 0; w < weights.size(); ++w) {
      add(globals + static_cast<WeightId>(w), layer, weights[w]);
    }
  }
  return all;
}

std::vector<ParamSpec> CommonSpecs(const Schedule& schedule) {
  std::vector<ParamSpec> specs;
  for (const PackedWeight& bound : PackedWeights(schedule)) {
    specs.push_back(SpecOf(bound));
  }
  return specs;
}

std::vector<ParamSpec> ConstantSpecs(const Schedule& schedule) {
  return {{std::string(plan::kFrequenciesName), Element::kFloat32, {schedule.shape.head_size / 2}},
          {std::string(kVocabularyRangeName), Element::kInt32, {2}}};
}

std::vector<std::uint64_t> Bindings(const Schedule& schedule) {
  std::vector<std::uint64_t> bindings(static_cast<std::size_t>(BindingCount(schedule)));
  const std::vector<PackedWeight> weights = PackedWeights(schedule);
  const artifact::ParamsLayout common = artifact::LayOut(CommonSpecs(schedule));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    bindings[static_cast<std::size_t>(weights[i].binding)] = common.offsets[i];
  }
  const artifact::ParamsLayout constant = artifact::LayOut(ConstantSpecs(schedule));
  for (std::size_t w = 0; w < schedule.weights.size(); ++w) {
    if (schedule.weights[w].kind == WeightKind::kFrequencies) {
      bindings[w] = constant.offsets[0];
    }
  }
  bindings.back() = constant.offsets[1];
  return bindings;
}

Status WriteConstantParams(FileSystem& files, const Path& path, const Schedule& schedule) {
  const std::vector<float> frequencies = model::RopeFrequencies(schedule.shape);
  const std::array<std::int32_t, 2> range{
      static_cast<std::int32_t>(schedule.shard.vocabulary.begin),
      static_cast<std::int32_t>(schedule.shard.vocabulary.end)};
  return WriteSmall(files, path, ConstantSpecs(schedule),
                    {std::as_bytes(std::span(frequencies)), std::as_bytes(std::span(range))});
}

Status WriteBindingParams(FileSystem& files, const Path& path, const Schedule& schedule) {
  const std::vector<std::uint64_t> bindings = Bindings(schedule);
  return WriteSmall(files, path, {{"bindings", Element::kUint64, {std::ssize(bindings)}}},
                    {std::as_bytes(std::span(bindings))});
}

}  // namespace tyllm::compile
