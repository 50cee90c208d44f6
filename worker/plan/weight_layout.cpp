// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/weight_layout.h"

#include "worker/die/linear4.h"
#include "worker/die/linear8.h"
#include "worker/die/linear_f16.h"
#include "worker/die/linear_f16_in_12.h"

namespace tyllm::plan {

std::uint64_t RowBlockBytes(const Weight& weight) {
  const auto columns = static_cast<std::uint64_t>(weight.columns.size());
  const auto group = static_cast<std::uint64_t>(weight.group);
  switch (weight.kind) {
    case WeightKind::kVector:
    case WeightKind::kFrequencies:
      return 0;
    case WeightKind::kInt4:
      return die::Linear4BlockBytes(columns, group);
    case WeightKind::kInt8:
      return die::Linear8BlockBytes(columns, group);
    case WeightKind::kHalf:
      return die::LinearF16BlockBytes(columns);
    case WeightKind::kHalfIn12:
      return die::LinearF16In12BlockBytes(columns, static_cast<std::uint64_t>(weight.exceptions));
  }
  return 0;
}

std::uint64_t WeightBytes(const Weight& weight) {
  if (weight.kind == WeightKind::kVector || weight.kind == WeightKind::kFrequencies) {
    return static_cast<std::uint64_t>(weight.columns.size()) * sizeof(float);
  }
  const auto rows = static_cast<std::uint64_t>(weight.rows.size());
  return (rows + die::kRowBlock - 1) / die::kRowBlock * RowBlockBytes(weight);
}

}  // namespace tyllm::plan
