// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/tower_params.h"

#include <array>
#include <cstring>

#include "worker/die/linear_f16.h"

namespace tyllm::simulator {

namespace {

using plan::TowerInputKind;
using plan::TowerSchedule;

std::uint64_t BytesOf(const plan::TowerWeight& weight) {
  const auto rows = static_cast<std::uint64_t>(weight.packed_rows);
  return weight.is_matrix
             ? die::LinearF16Bytes(rows, static_cast<std::uint64_t>(weight.packed_columns))
             : rows * sizeof(float);
}

std::uint64_t BytesOf(const plan::TowerInput& input) {
  std::uint64_t bytes = input.element == plan::TowerElement::kFloat16 ? 2 : 4;
  for (const std::int64_t side : input.shape) {
    bytes *= static_cast<std::uint64_t>(side);
  }
  return bytes;
}

Status Damaged(const Path& path, const std::string& why) {
  return DataLoss(path.string() + ": " + why + "; compile the model again");
}

Result<std::uint64_t> Place(const artifact::ParamsFile& params, const std::string& name,
                            std::uint64_t bytes) {
  TYLLM_ASSIGN(const artifact::Param param, params.Find(name));
  if (param.bytes.size() != bytes) {
    return Damaged(params.path(), "tensor " + name + " has " + std::to_string(param.bytes.size()) +
                                      " bytes, expected " + std::to_string(bytes));
  }
  return param.offset;
}

/// That the die's part of the pixels is the one that the schedule says.
Status CheckPixelRange(const TowerSchedule& schedule, const artifact::ParamsFile& params,
                       std::uint64_t offset) {
  std::array<std::int32_t, 2> range{};
  std::memcpy(range.data(), params.bytes().data() + offset, sizeof(range));
  if (range[0] == schedule.shard.pixels.begin && range[1] == schedule.shard.pixels.end) {
    return OkStatus();
  }
  return Damaged(params.path(), "it is for the numbers " + std::to_string(range[0]) + " to " +
                                    std::to_string(range[1]) + " of a patch, expected " +
                                    std::to_string(schedule.shard.pixels.begin) + " to " +
                                    std::to_string(schedule.shard.pixels.end));
}

}  // namespace

std::string TowerParamName(const std::string& block, const plan::TowerWeight& weight) {
  return block + "." + weight.name;
}

std::vector<std::byte> TowerTable(const graph::TowerLayout& layout, TowerInputKind kind) {
  const auto bytes = [](const auto& numbers) {
    const auto all = std::as_bytes(std::span(numbers));
    return std::vector<std::byte>(all.begin(), all.end());
  };
  switch (kind) {
    case TowerInputKind::kRotations:
      return bytes(layout.rotations);
    case TowerInputKind::kFrameEnds:
      return bytes(layout.frame_ends);
    case TowerInputKind::kWindowEnds:
      return bytes(layout.window_ends);
    case TowerInputKind::kToWindows:
      return bytes(layout.to_windows);
    case TowerInputKind::kFromWindows:
      return bytes(layout.from_windows);
    case TowerInputKind::kPixels:
    case TowerInputKind::kPlaces:
      break;
  }
  return {};
}

Result<std::vector<std::uint64_t>> BindTower(const TowerSchedule& schedule,
                                             const artifact::ParamsFile& params,
                                             const artifact::TorchArchive& preset) {
  std::vector<std::uint64_t> bindings;
  for (const plan::TowerBlockRun& run : schedule.runs) {
    for (const auto& weight : schedule.kinds[static_cast<std::size_t>(run.kind)].weights) {
      TYLLM_ASSIGN(bindings.emplace_back(),
                   Place(params, TowerParamName(run.name, weight), BytesOf(weight)));
    }
  }
  const graph::TowerLayout layout = graph::LayOut(schedule.shape, schedule.grid);
  for (std::size_t i = 1; i < schedule.inputs.size(); ++i) {
    const plan::TowerInput& input = schedule.inputs[i];
    TYLLM_ASSIGN(const std::uint64_t offset, preset.Data(i - 1, BytesOf(input)));
    const std::vector<std::byte> expected = TowerTable(layout, input.kind);
    if (input.element == plan::TowerElement::kInt32 &&
        std::memcmp(preset.bytes().data() + offset, expected.data(), expected.size()) != 0) {
      return Damaged(preset.path(), std::string(plan::kTowerInputNames.Name(input.kind)) +
                                        " is not that of images of " +
                                        model::ToText(schedule.grid) + " patches");
    }
    bindings.push_back(offset);
  }
  TYLLM_ASSIGN(const std::uint64_t range,
               Place(params, std::string(kPixelRangeParam), 2 * sizeof(std::int32_t)));
  TYLLM_TRY(CheckPixelRange(schedule, params, range));
  bindings.push_back(range);
  return bindings;
}

}  // namespace tyllm::simulator
