// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/checkpoint_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/format/float16.h"
#include "worker/die/row_lanes.h"
#include "worker/model/rope_config.h"

namespace tyllm::simulator {

namespace {

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

/// Row `r` of a float matrix of any type that checkpoints have.
void ReadFloatRow(const format::TensorView& matrix, std::int64_t r, std::span<float> out) {
  const std::size_t size = format::SizeOf(matrix.dtype);
  const std::byte* const row =
      matrix.bytes.data() + static_cast<std::size_t>(r) * out.size() * size;
  for (std::size_t c = 0; c < out.size(); ++c) {
    const std::byte* const at = row + c * size;
    out[c] = matrix.dtype == format::DType::kF16 ? format::HalfToFloat(Load<std::uint16_t>(at))
             : matrix.dtype == format::DType::kBF16
                 ? format::BFloat16ToFloat(Load<std::uint16_t>(at))
                 : Load<float>(at);
  }
}

void ReadQuantizedRow(const model::QuantizedMatrix& matrix, std::int64_t r, std::span<float> out) {
  const auto row = static_cast<std::size_t>(r);
  const std::uint8_t* const q = matrix.q.data() + row * out.size();
  const auto groups = static_cast<std::size_t>(matrix.groups());
  const auto group = static_cast<std::size_t>(matrix.group);
  for (std::size_t g = 0; g < groups; ++g) {
    const float scale = format::HalfToFloat(matrix.scale[row * groups + g]);
    const int zero = matrix.zero[row * groups + g];
    for (std::size_t c = g * group; c < (g + 1) * group; ++c) {
      out[c] = static_cast<float>(q[c] - zero) * scale;
    }
  }
}

/// As a head of int8 has it: the largest of each group becomes 127, with a scale of binary16.
void RoundRow(std::span<float> row, std::int64_t group) {
  constexpr float kTop = 127;
  for (std::size_t first = 0; first < row.size(); first += static_cast<std::size_t>(group)) {
    const auto part = row.subspan(first, static_cast<std::size_t>(group));
    float largest = 0;
    for (const float x : part) {
      largest = std::max(largest, std::fabs(x));
    }
    const float scale = format::HalfToFloat(format::FloatToHalf(largest / kTop));
    for (float& x : part) {
      x = scale > 0 ? std::nearbyint(std::clamp(x / scale, -kTop, kTop)) * scale : 0.0F;
    }
  }
}

}  // namespace

const plan::Weight& CheckpointWeights::WeightOf(plan::WeightId id, std::int64_t layer) const {
  const std::int32_t kind =
      layer < 0 ? 0 : schedule_.kind_of_layer[static_cast<std::size_t>(layer)];
  return schedule_.WeightOf(id, kind);
}

void CheckpointWeights::Prepare(plan::WeightId id, std::int64_t layer) const {
  const std::string name = plan::FullName(schedule_, id, layer);
  const plan::Weight& weight = WeightOf(id, layer);
  if (!current_.name.empty() &&
      (weight.kind == plan::WeightKind::kHalf || weight.kind == plan::WeightKind::kHalfIn12 ||
       current_.name != name)) {
    checkpoint_.Forget(current_.name + ".");  // pages that were read
  }
  if (current_.name == name) {
    return;
  }
  current_ = {name, {}, {}};
  const Status loaded = Load(name, weight);
  if (!loaded.ok() && status_.ok()) {
    status_ = loaded;
  }
}

Status CheckpointWeights::Load(const std::string& name, const plan::Weight& weight) const {
  if (weight.kind == plan::WeightKind::kInt4) {
    TYLLM_ASSIGN(current_.quantized, checkpoint_.ReadQuantized(name));
    return OkStatus();
  }
  TYLLM_ASSIGN(current_.floats, checkpoint_.Find(name + ".weight"));
  const format::DType dtype = current_.floats.dtype;
  if (dtype != format::DType::kF16 && dtype != format::DType::kBF16 &&
      dtype != format::DType::kF32) {
    current_.floats = {};
    return InvalidArgument("tensor " + name + ".weight has dtype " +
                           std::string(format::kDTypeNames.Name(dtype)) +
                           ", expected F16, BF16 or F32");
  }
  return OkStatus();
}

std::span<const float> CheckpointWeights::Vector(plan::WeightId id, std::int64_t layer) const {
  std::vector<float>& numbers = vectors_[{id, layer}];
  if (!numbers.empty()) {
    return numbers;
  }
  const plan::Weight& weight = WeightOf(id, layer);
  if (weight.kind == plan::WeightKind::kFrequencies) {
    numbers = model::RopeFrequencies(schedule_.shape);
    return numbers;
  }
  Result<std::vector<float>> read = checkpoint_.ReadFloats(plan::FullName(schedule_, id, layer));
  if (!read.ok() && status_.ok()) {
    status_ = read.status();
  }
  numbers = read.ok() ? *std::move(read)
                      : std::vector<float>(static_cast<std::size_t>(weight.columns.size()));
  return numbers;
}

void CheckpointWeights::ReadRowBlock(plan::WeightId id, std::int64_t layer, std::int64_t block,
                                     std::vector<float>& out) const {
  const plan::Weight& weight = WeightOf(id, layer);
  const auto columns = static_cast<std::size_t>(weight.columns.size());
  out.assign(columns * std::int64_t{die::kRowBlock}, 0.0F);
  if (!status_.ok()) {
    return;
  }
  const std::int64_t first = block * std::int64_t{die::kRowBlock};
  const std::int64_t rows = std::min(std::int64_t{die::kRowBlock}, weight.rows.size() - first);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto row = std::span(out).subspan(static_cast<std::size_t>(r) * columns, columns);
    if (weight.kind == plan::WeightKind::kInt4) {
      ReadQuantizedRow(current_.quantized, first + r, row);
    } else {
      ReadFloatRow(current_.floats, first + r, row);
    }
    if (weight.kind == plan::WeightKind::kInt8) {
      RoundRow(row, weight.group);
    }
  }
}

}  // namespace tyllm::simulator
