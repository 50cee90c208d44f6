// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/output_check.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "common/format/float16.h"
#include "worker/model/checkpoint.h"
#include "worker/quant/layer_output.h"
#include "worker/quant/passengers.h"

namespace tyllm::quant {

namespace {

/// A linear layer, and the CodeSum of what it must read back as.
using Expected = std::pair<std::string, std::string>;

Status CheckLinear(const model::Checkpoint& written, const Expected& expected) {
  const auto& [module, sum] = expected;
  TYLLM_ASSIGN(const model::QuantizedMatrix matrix, written.ReadQuantized(module));
  written.Forget(module);
  const bool is_finite = std::ranges::all_of(
      matrix.scale, [](std::uint16_t scale) { return std::isfinite(format::HalfToFloat(scale)); });
  if (!is_finite) {
    return Internal("linear layer '" + module + "' reads back with a scale that is not finite");
  }
  if (SumOfCodes(matrix).Hex() != sum) {
    return Internal("linear layer '" + module + "' does not read back as it was quantized");
  }
  return OkStatus();
}

}  // namespace

Status CheckOutput(const PartFiles& parts, const Path& directory, std::span<const Path> passengers,
                   tensor::TaskLanes& lanes) {
  TYLLM_TRY(parts.Verify(lanes));
  TYLLM_TRY(CheckPassengers(directory, passengers));
  TYLLM_ASSIGN(const model::Checkpoint written, model::Checkpoint::Open(directory));
  std::vector<Expected> linears;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    std::ranges::copy(parts.Find(part)->codes, std::back_inserter(linears));
  }
  std::vector<Status> statuses(linears.size());
  lanes.ForEach(std::ssize(linears), [&](std::int64_t task, std::vector<float>&) {
    const auto i = static_cast<std::size_t>(task);
    statuses[i] = CheckLinear(written, linears[i]);
  });
  for (Status& status : statuses) {
    TYLLM_TRY(std::move(status));
  }
  return OkStatus();
}

}  // namespace tyllm::quant
