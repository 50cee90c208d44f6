// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/onnx/weight_tensors.h"

#include <algorithm>

#include "common/format/float_arrays.h"
#include "worker/die/packing.h"
#include "worker/die/row_lanes.h"

namespace tyllm::compile {
namespace {

constexpr std::int64_t kBlockRows = die::kRowBlock;

/// Rows of a block that the matrix has.
std::int64_t RowsOf(const plan::Weight& weight, std::int64_t block) {
  return std::min(kBlockRows, weight.rows.size() - block * kBlockRows);
}

/// Two codes a byte, the one of the even column in the low half.
std::vector<std::uint8_t> Halved(std::span<const std::uint8_t> codes) {
  std::vector<std::uint8_t> bytes(codes.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4U);
  }
  return bytes;
}

}  // namespace

Result<std::string> WeightTensors::Add(plan::WeightId id, std::int64_t layer) {
  std::string name = plan::FullName(schedule_, id, layer);
  if (weights_.WeightOf(id, layer).kind == plan::WeightKind::kInt8) {
    name += ".int8";  // a tied table may be there twice
  }
  if (!added_.emplace(name, true).second) {
    return name;
  }
  switch (weights_.WeightOf(id, layer).kind) {
    case plan::WeightKind::kVector:
    case plan::WeightKind::kFrequencies: {
      TYLLM_TRY(AddVector(name, id, layer));
      break;
    }
    case plan::WeightKind::kInt8:
    case plan::WeightKind::kHalf:
    case plan::WeightKind::kHalfIn12: {
      TYLLM_TRY(AddHalf(name, id, layer));
      break;
    }
    case plan::WeightKind::kInt4: {
      TYLLM_TRY(AddInt4(name, id, layer));
      break;
    }
  }
  return name;
}

Status WeightTensors::AddVector(const std::string& name, plan::WeightId id, std::int64_t layer) {
  const std::span<const float> numbers = weights_.Vector(id, layer);
  TYLLM_TRY(data_.Begin(name, onnx::Type::kFloat, {std::ssize(numbers)}));
  TYLLM_TRY(data_.Append(std::as_bytes(numbers)));
  TYLLM_ASSIGN(tensors_.emplace_back(), data_.End());
  return OkStatus();
}

Status WeightTensors::AddHalf(const std::string& name, plan::WeightId id, std::int64_t layer) {
  const plan::Weight& weight = weights_.WeightOf(id, layer);
  const std::int64_t columns = weight.columns.size();
  TYLLM_TRY(data_.Begin(name, onnx::Type::kFloat16, {weight.rows.size(), columns}));
  std::vector<float> block;
  for (std::int64_t b = 0; b < die::RowBlocks(weight.rows.size()); ++b) {
    weights_.ReadRowBlock(id, layer, b, block);
    block.resize(static_cast<std::size_t>(RowsOf(weight, b) * columns));
    std::vector<std::uint16_t> halves(block.size());
    format::FloatsToHalves(block, halves);  // exact for what was halves
    TYLLM_TRY(data_.Append(std::as_bytes(std::span(halves))));
  }
  TYLLM_ASSIGN(tensors_.emplace_back(), data_.End());
  return OkStatus();
}

Status WeightTensors::AddInt4(const std::string& name, plan::WeightId id, std::int64_t layer) {
  const plan::Weight& weight = weights_.WeightOf(id, layer);
  const std::int64_t rows = weight.rows.size();
  const std::int64_t groups = weight.columns.size() / weight.group;
  std::vector<std::uint8_t> zeros;
  std::vector<std::uint16_t> scales;
  TYLLM_TRY(data_.Begin(name + ".q", onnx::Type::kUint8, {rows, groups, weight.group / 2}));
  for (std::int64_t b = 0; b < die::RowBlocks(rows); ++b) {
    const simulator::Linear4Codes codes = weights_.ReadCodes(id, layer, b);
    const auto used = static_cast<std::size_t>(RowsOf(weight, b));
    const std::size_t numbers = used * static_cast<std::size_t>(weight.columns.size());
    const auto of_groups = static_cast<std::ptrdiff_t>(used) * groups;
    const std::vector<std::uint8_t> halved = Halved(std::span(codes.q).first(numbers));
    TYLLM_TRY(data_.Append(std::as_bytes(std::span(halved))));
    zeros.insert(zeros.end(), codes.zero.begin(), codes.zero.begin() + of_groups);
    scales.insert(scales.end(), codes.scale.begin(), codes.scale.begin() + of_groups);
  }
  TYLLM_ASSIGN(tensors_.emplace_back(), data_.End());
  TYLLM_TRY(data_.Begin(name + ".zero", onnx::Type::kUint8, {rows, groups, 1}));
  TYLLM_TRY(data_.Append(std::as_bytes(std::span(zeros))));
  TYLLM_ASSIGN(tensors_.emplace_back(), data_.End());
  TYLLM_TRY(data_.Begin(name + ".scale", onnx::Type::kFloat16, {rows, groups, 1}));
  TYLLM_TRY(data_.Append(std::as_bytes(std::span(scales))));
  TYLLM_ASSIGN(tensors_.emplace_back(), data_.End());
  return OkStatus();
}

}  // namespace tyllm::compile
