// SPDX-License-Identifier: Apache-2.0
// Sources: rot_pos_emb, get_window_index and fast_pos_embed_interpolate of transformers' Qwen2-VL,
// Qwen2.5-VL and Qwen3-VL.
#include "worker/graph/tower_layout.h"

#include <algorithm>

#include "common/base/portable_math.h"

namespace tyllm::graph {

namespace {

using model::VisionShape;
using model::VisualGrid;

struct Place {
  std::int64_t row = 0;
  std::int64_t column = 0;
};

/// Of the patches of one frame, in processor order.
std::vector<Place> PlacesOf(const VisionShape& shape, const VisualGrid& grid) {
  std::vector<Place> places;
  for (std::int64_t row = 0; row < grid.rows; row += shape.merge) {
    for (std::int64_t column = 0; column < grid.columns; column += shape.merge) {
      for (std::int64_t i = 0; i < shape.unit(); ++i) {
        places.push_back({row + i / shape.merge, column + i % shape.merge});
      }
    }
  }
  return places;
}

/// Tokens of all frames by windows; ends of windows, in tokens, go to `ends`.
std::vector<std::int32_t> TokensByWindows(const VisionShape& shape, const VisualGrid& grid,
                                          std::vector<std::int32_t>& ends) {
  const std::int64_t rows = grid.rows / shape.merge;
  const std::int64_t columns = grid.columns / shape.merge;
  std::vector<std::int32_t> tokens;
  for (std::int64_t frame = 0; frame < grid.frames; ++frame) {
    for (std::int64_t top = 0; top < rows; top += shape.window) {
      for (std::int64_t left = 0; left < columns; left += shape.window) {
        for (std::int64_t row = top; row < std::min(rows, top + shape.window); ++row) {
          for (std::int64_t column = left; column < std::min(columns, left + shape.window);
               ++column) {
            tokens.push_back(static_cast<std::int32_t>((frame * rows + row) * columns + column));
          }
        }
        ends.push_back(static_cast<std::int32_t>(tokens.size()));
      }
    }
  }
  return tokens;
}

void AddWindows(const VisionShape& shape, const VisualGrid& grid, TowerLayout& layout) {
  const std::vector<std::int32_t> tokens = TokensByWindows(shape, grid, layout.window_ends);
  const auto unit = static_cast<std::int32_t>(shape.unit());
  for (std::int32_t& end : layout.window_ends) {
    end *= unit;
  }
  layout.from_windows.resize(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    layout.from_windows[static_cast<std::size_t>(tokens[i])] = static_cast<std::int32_t>(i);
    for (std::int32_t patch = 0; patch < unit; ++patch) {
      layout.to_windows.push_back(tokens[i] * unit + patch);
    }
  }
}

void AddRotations(const VisionShape& shape, const VisualGrid& grid, const std::vector<Place>& frame,
                  std::span<const float> frequencies, TowerLayout& layout) {
  const std::int64_t half = shape.head_size() / 2;
  const std::int64_t quarter = std::ssize(frequencies);
  layout.rotations.resize(static_cast<std::size_t>(grid.patches() * shape.head_size()));
  for (std::int64_t patch = 0; patch < grid.patches(); ++patch) {
    const std::int64_t number =
        layout.to_windows.empty() ? patch : layout.to_windows[static_cast<std::size_t>(patch)];
    const Place place = frame[static_cast<std::size_t>(number) % frame.size()];
    float* const row = layout.rotations.data() + patch * shape.head_size();
    for (std::int64_t pair = 0; pair < half; ++pair) {
      const auto position = static_cast<float>(pair < quarter ? place.row : place.column);
      const auto angle =
          static_cast<double>(position * frequencies[static_cast<std::size_t>(pair % quarter)]);
      row[pair] = static_cast<float>(PortableCos(angle));
      row[half + pair] = static_cast<float>(PortableSin(angle));
    }
  }
}

/// `count` numbers from 0 to `last` at equal distances in float32, filled from both ends as torch
/// does.
std::vector<float> Steps(std::int64_t count, std::int64_t last) {
  const auto end = static_cast<float>(last);
  const float step = count > 1 ? end / static_cast<float>(count - 1) : 0.0F;
  std::vector<float> steps;
  for (std::int64_t i = 0; i < count; ++i) {
    steps.push_back(i < count / 2 || count == 1 ? step * static_cast<float>(i)
                                                : end - step * static_cast<float>(count - 1 - i));
  }
  return steps;
}

/// Bilinear between the four table entries around each patch's place.
void AddGridRows(const VisionShape& shape, const VisualGrid& grid, const std::vector<Place>& frame,
                 TowerLayout& layout) {
  const std::int64_t last = shape.grid_side - 1;
  const std::vector<float> rows = Steps(grid.rows, last);
  const std::vector<float> columns = Steps(grid.columns, last);
  for (std::int64_t patch = 0; patch < grid.patches(); ++patch) {
    const Place place = frame[static_cast<std::size_t>(patch) % frame.size()];
    const float row = rows[static_cast<std::size_t>(place.row)];
    const float column = columns[static_cast<std::size_t>(place.column)];
    const auto top = static_cast<std::int64_t>(row);
    const auto left = static_cast<std::int64_t>(column);
    const float down = row - static_cast<float>(top);
    const float right = column - static_cast<float>(left);
    for (std::int64_t corner = 0; corner < 4; ++corner) {
      const std::int64_t at_row = std::min(last, top + corner / 2);
      const std::int64_t at_column = std::min(last, left + corner % 2);
      layout.grid_rows.push_back(static_cast<std::int32_t>(at_row * shape.grid_side + at_column));
      layout.grid_weights.push_back((corner / 2 == 0 ? 1.0F - down : down) *
                                    (corner % 2 == 0 ? 1.0F - right : right));
    }
  }
}

}  // namespace

std::vector<float> TowerFrequencies(const VisionShape& shape) {
  const std::int64_t half = shape.head_size() / 2;
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < half / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(half);
    frequencies.push_back(1.0F /
                          PortablePow(static_cast<float>(VisionShape::kRopeTheta), exponent));
  }
  return frequencies;
}

TowerLayout LayOut(const VisionShape& shape, const VisualGrid& grid) {
  return LayOut(shape, grid, TowerFrequencies(shape));
}

TowerLayout LayOut(const VisionShape& shape, const VisualGrid& grid,
                   std::span<const float> frequencies) {
  TowerLayout layout;
  const std::vector<Place> frame = PlacesOf(shape, grid);
  for (std::int64_t i = 1; i <= grid.frames; ++i) {
    layout.frame_ends.push_back(static_cast<std::int32_t>(i * std::ssize(frame)));
  }
  if (shape.window > 0) {
    AddWindows(shape, grid, layout);
  }
  AddRotations(shape, grid, frame, frequencies, layout);
  if (shape.grid_side > 0) {
    AddGridRows(shape, grid, frame, layout);
  }
  return layout;
}

}  // namespace tyllm::graph
