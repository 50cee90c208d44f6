// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/weight_source.h"

#include <algorithm>

#include "common/base/raw_vector.h"
#include "worker/die/linear4.h"
#include "worker/die/packing.h"
#include "worker/die/row_lanes.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::compile {

using plan::Weight;
using plan::WeightKind;

namespace {

/// The whole words of a layer that hold these rows and columns.
model::CodeRegion WordsOf(std::int64_t first_row, std::int64_t end_row, const plan::Range& columns,
                          const model::QuantizedMatrix& matrix) {
  constexpr std::int64_t kWord = 8;
  const std::int64_t row = first_row / kWord * kWord;
  const std::int64_t column = columns.begin / kWord * kWord;
  const auto up = [](std::int64_t n) { return (n + kWord - 1) / kWord * kWord; };
  return {row, std::min(up(end_row), matrix.rows) - row, column,
          std::min(up(columns.end), matrix.columns) - column};
}

}  // namespace

Result<WeightSource> WeightSource::Open(const model::Checkpoint& checkpoint,
                                        const std::string& name, WeightKind kind) {
  WeightSource source;
  switch (kind) {
    case WeightKind::kVector:
    case WeightKind::kFrequencies: {
      TYLLM_ASSIGN(source.vector_, checkpoint.ReadFloats(name));
      break;
    }
    case WeightKind::kInt4: {
      TYLLM_ASSIGN(source.quantized_, checkpoint.OpenQuantized(name));
      break;
    }
    case WeightKind::kInt8:
    case WeightKind::kHalf:
    case WeightKind::kHalfIn12: {
      TYLLM_ASSIGN(source.halves_, HalfRows::Open(checkpoint, name));
      break;
    }
  }
  return source;
}

std::span<const std::byte> WeightSource::Vector(const plan::Range& columns) const {
  return std::as_bytes(std::span(vector_).subspan(static_cast<std::size_t>(columns.begin),
                                                  static_cast<std::size_t>(columns.size())));
}

Status WeightSource::PackBlocks(const Weight& weight, std::int64_t first, std::int64_t count,
                                std::span<std::byte> out) const {
  if (weight.kind == WeightKind::kInt4) {
    PackInt4(weight, first, count, out);
    return OkStatus();
  }
  const auto bytes = static_cast<std::size_t>(plan::RowBlockBytes(weight));
  RawVector<std::uint16_t> halves;
  for (std::int64_t i = 0; i < count; ++i) {
    TYLLM_TRY(PackFloat(weight, first + i, halves,
                        out.subspan(static_cast<std::size_t>(i) * bytes, bytes)));
  }
  return OkStatus();
}

void WeightSource::PackInt4(const Weight& weight, std::int64_t first, std::int64_t count,
                            std::span<std::byte> out) const {
  const model::QuantizedMatrix& grids = quantized_->grids();
  const std::int64_t begin = weight.rows.begin + first * die::kRowBlock;
  const std::int64_t end = std::min(begin + count * die::kRowBlock, weight.rows.end);
  const die::MatrixPart part{weight.rows.begin, weight.rows.size(), weight.columns.begin,
                             weight.columns.size(), weight.group};
  const std::int64_t of_run = part.group * static_cast<std::int64_t>(die::kRunGroups);
  const auto bytes = static_cast<std::size_t>(plan::RowBlockBytes(weight));
  RawVector<std::uint8_t> codes;
  for (std::int64_t run = 0; run < die::Linear4Runs(part); ++run) {
    const std::int64_t column = weight.columns.begin + run * of_run;
    const model::CodeRegion region =
        WordsOf(begin, end, {column, std::min(column + of_run, weight.columns.end)}, grids);
    codes.resize(static_cast<std::size_t>(region.rows * region.columns));
    quantized_->ReadCodes(region, codes);
    const die::QuantizedSource matrix{
        grids.rows,  grids.columns,
        grids.group, {region.first_row, region.first_column, region.columns, codes},
        grids.zero,  grids.scale};
    for (std::int64_t i = 0; i < count; ++i) {
      die::PackLinear4Runs(matrix, part, first + i, run, run + 1,
                           out.subspan(static_cast<std::size_t>(i) * bytes, bytes));
    }
  }
}

Status WeightSource::PackFloat(const Weight& weight, std::int64_t block,
                               RawVector<std::uint16_t>& halves, std::span<std::byte> out) const {
  const std::int64_t columns = weight.columns.size();
  const std::int64_t rows =
      std::min<std::int64_t>(die::kRowBlock, weight.rows.size() - block * die::kRowBlock);
  halves.resize(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    TYLLM_TRY(halves_->Read(weight.rows.begin + block * die::kRowBlock + r, weight.columns.begin,
                            std::span(halves).subspan(static_cast<std::size_t>(r * columns),
                                                      static_cast<std::size_t>(columns))));
  }
  if (weight.kind == WeightKind::kInt8) {
    die::PackLinear8Block(halves, rows, columns, weight.group, out);
  } else if (weight.kind == WeightKind::kHalfIn12) {
    die::PackF16In12Block(halves, rows, columns, weight.exceptions, out);
  } else {
    die::PackF16Block(halves, rows, columns, columns, out);
  }
  return OkStatus();
}

}  // namespace tyllm::compile
