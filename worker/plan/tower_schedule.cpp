// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/tower_schedule.h"

#include <algorithm>
#include <utility>

#include "worker/plan/tower_translator.h"

namespace tyllm::plan {

namespace {

Status CheckMultiple(std::string_view what, std::int64_t value) {
  constexpr std::int64_t kStep = 16;
  if (value % kStep == 0) {
    return OkStatus();
  }
  return InvalidArgument("the visual tower's " + std::string(what) + " is " +
                         std::to_string(value) +
                         ", expected a multiple of 16: the die kernels take no other");
}

Status CheckShape(const model::VisionShape& shape) {
  TYLLM_TRY(CheckMultiple("width", shape.width));
  TYLLM_TRY(CheckMultiple("head size", shape.head_size()));
  return CheckMultiple("output", shape.out_width);
}

std::vector<TowerInput> InputsOf(const model::VisionShape& shape, const model::VisualGrid& grid,
                                 const graph::TowerLayout& layout) {
  const std::int64_t patches = grid.patches();
  std::vector<TowerInput> inputs{
      {TowerInputKind::kPixels, TowerElement::kFloat16, {patches, shape.patch_values()}}};
  if (shape.grid_side > 0) {
    inputs.push_back({TowerInputKind::kPlaces, TowerElement::kFloat16, {patches, shape.width}});
  }
  inputs.push_back(
      {TowerInputKind::kRotations, TowerElement::kFloat32, {patches, shape.head_size()}});
  const auto add = [&](TowerInputKind kind, const std::vector<std::int32_t>& numbers) {
    if (!numbers.empty()) {
      inputs.push_back({kind, TowerElement::kInt32, {std::ssize(numbers)}});
    }
  };
  add(TowerInputKind::kFrameEnds, layout.frame_ends);
  add(TowerInputKind::kWindowEnds, layout.window_ends);
  add(TowerInputKind::kToWindows, layout.to_windows);
  add(TowerInputKind::kFromWindows, layout.from_windows);
  return inputs;
}

/// Positions of a cache for runs with these ends, and the longest of them.
std::pair<std::int64_t, std::int64_t> RunSizes(const std::vector<std::int32_t>& ends) {
  std::int64_t capacity = 0;
  std::int64_t longest = 0;
  std::int64_t begin = 0;
  for (const std::int32_t end : ends) {
    capacity += (end - begin + 7) / 8 * 8;
    longest = std::max(longest, end - begin);
    begin = end;
  }
  return {capacity, longest};
}

/// Adds blocks in running order, those of one form as one kind.
class Assembler {
 public:
  Assembler(TowerSchedule& schedule, const graph::Tower& tower)
      : schedule_(schedule), tower_(tower) {}

  Status Add() {
    TYLLM_TRY(Add(tower_.patches, "patches", -1, -1));
    for (std::size_t layer = 0; layer < tower_.layers.size(); ++layer) {
      const auto number = static_cast<std::int64_t>(layer);
      TYLLM_TRY(Add(tower_.layers[layer],
                    tower_.shape.IsWindowed(number) ? "window_layer" : "layer", -1, number));
      const auto& levels = tower_.shape.deepstack;
      const auto level = std::ranges::find(levels, number) - levels.begin();
      if (level < std::ssize(levels)) {
        TYLLM_TRY(
            Add(tower_.deepstack[static_cast<std::size_t>(level)], "deepstack", 1 + level, number));
      }
    }
    return Add(tower_.merger, "merger", 0, -1);
  }

 private:
  Status Add(const graph::Block& block, const std::string& kind, std::int64_t features,
             std::int64_t layer) {
    const auto found = std::ranges::find(schedule_.kinds, kind, &TowerBlockKind::name);
    const auto index = static_cast<std::int32_t>(found - schedule_.kinds.begin());
    if (found == schedule_.kinds.end()) {
      TowerTranslator translator(schedule_, block, features >= 0);
      TYLLM_ASSIGN(TowerBlockKind translated, translator.Translate(kind));
      schedule_.kinds.push_back(std::move(translated));
    }
    schedule_.runs.push_back({block.name, index, features, layer});
    return OkStatus();
  }

  TowerSchedule& schedule_;
  const graph::Tower& tower_;
};

}  // namespace

std::string SignatureOf(const std::vector<TowerInput>& inputs) {
  std::string text;
  for (const TowerInput& input : inputs) {
    for (const std::int64_t side : input.shape) {
      text += std::to_string(side) + "_";
    }
    text += "[" + std::string(kTowerElementNames.Name(input.element)) + "]";
  }
  return text;
}

Result<TowerSchedule> BuildTowerSchedule(const graph::Tower& tower, const model::VisualGrid& grid,
                                         const std::vector<TowerShard>& shards, std::int64_t die) {
  TYLLM_TRY(CheckShape(tower.shape));
  TYLLM_TRY(model::CheckGrid(tower.shape, grid, "the compiled image"));
  const graph::TowerLayout layout = graph::LayOut(tower.shape, grid);
  TowerSchedule schedule;
  schedule.shape = tower.shape;
  schedule.grid = grid;
  schedule.dies = std::ssize(shards);
  schedule.shard = shards.at(static_cast<std::size_t>(die));
  schedule.inputs = InputsOf(tower.shape, grid, layout);
  std::tie(schedule.frame_capacity, schedule.frame_longest) = RunSizes(layout.frame_ends);
  std::tie(schedule.window_capacity, schedule.window_longest) = RunSizes(layout.window_ends);
  const auto bytes = [](std::int64_t rows, std::int64_t columns) {
    return static_cast<std::uint64_t>(rows * columns) * sizeof(float);
  };
  const std::int64_t feature_rows = schedule.outputs() * schedule.tokens();
  schedule.buffers = {{"hidden", TowerBufferKind::kRows, grid.patches(), tower.shape.width,
                       bytes(grid.patches(), tower.shape.width)},
                      {"features", TowerBufferKind::kRows, feature_rows, tower.shape.out_width,
                       bytes(feature_rows, tower.shape.out_width)}};
  TYLLM_TRY(Assembler(schedule, tower).Add());
  PlaceTowerBuffers(schedule);
  return schedule;
}

std::int64_t TowerSchedule::segment_count() const {
  std::int64_t count = 0;
  for (const TowerBlockRun& run : runs) {
    count += std::ssize(kinds[static_cast<std::size_t>(run.kind)].segments);
  }
  return count;
}

std::int64_t TowerSchedule::FirstBinding(std::size_t run) const {
  std::int64_t first = 0;
  for (std::size_t i = 0; i < run; ++i) {
    first += std::ssize(kinds[static_cast<std::size_t>(runs[i].kind)].weights);
  }
  return first;
}

std::int64_t TowerSchedule::BindingOfInput(TowerInputKind kind) const {
  const auto found = std::ranges::find(inputs, kind, &TowerInput::kind);
  return FirstBinding(runs.size()) + (found - inputs.begin()) - 1;
}

std::int64_t TowerSchedule::BindingOfPixels() const {
  return FirstBinding(runs.size()) + std::ssize(inputs) - 1;
}

const TowerInput* TowerSchedule::FindInput(TowerInputKind kind) const {
  const auto found = std::ranges::find(inputs, kind, &TowerInput::kind);
  return found == inputs.end() ? nullptr : &*found;
}

}  // namespace tyllm::plan
