// SPDX-License-Identifier: Apache-2.0
#include "worker/model/visual_positions.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tyllm::model {

namespace {

/// Builds a sequence's positions from front to back.
class Walk {
 public:
  Walk(const VisionShape& shape, std::span<const std::int32_t> ids) : shape_(shape), ids_(ids) {}

  Result<VisualPositions> Run(std::span<const VisualItem> items) {
    for (const VisualItem& item : items) {
      TYLLM_TRY(CheckGrid(shape_, item.grid, "a visual item"));
      TYLLM_TRY(AddItem(item));
    }
    AddText();
    if (at_ < ids_.size()) {
      return Mismatch(items.size());
    }
    return std::move(found_);
  }

 private:
  bool IsVisual(std::int32_t id) const {
    return id == shape_.image_token || id == shape_.video_token;
  }

  void AddText() {
    for (; at_ < ids_.size() && !IsVisual(ids_[at_]); ++at_) {
      Push(found_.next, found_.next, found_.next);
      ++found_.next;
    }
  }

  void Push(std::int32_t time, std::int32_t row, std::int32_t column) {
    found_.axes[0].push_back(time);
    found_.axes[1].push_back(row);
    found_.axes[2].push_back(column);
  }

  /// A video whose grids stand apart is as many runs of tokens as it has grids.
  Status AddItem(const VisualItem& item) {
    const bool apart = item.is_video && shape_.video_time == VideoTime::kApart;
    VisualGrid part = item.grid;
    part.frames = apart ? 1 : part.frames;
    const double step = TimeOfGrid(item);
    if (!(step >= 0 && step * static_cast<double>(part.frames) < 1e8)) {
      return InvalidArgument("a video has " + std::to_string(item.seconds_per_grid) +
                             " seconds a grid, expected 0 or more, and positions below 1e8");
    }
    for (std::int64_t grid = 0; grid < (apart ? item.grid.frames : 1); ++grid) {
      AddText();
      TYLLM_TRY(AddRun(part, item.is_video ? shape_.video_token : shape_.image_token, step));
    }
    return OkStatus();
  }

  double TimeOfGrid(const VisualItem& item) const {
    return shape_.video_time == VideoTime::kSeconds && item.is_video
               ? item.seconds_per_grid * shape_.tokens_per_second
               : 1.0;
  }

  Status AddRun(const VisualGrid& grid, std::int32_t token, double step) {
    const std::int64_t rows = grid.rows / shape_.merge;
    const std::int64_t columns = grid.columns / shape_.merge;
    const std::int64_t count = grid.frames * rows * columns;
    const auto run =
        ids_.subspan(at_, std::min(ids_.size() - at_, static_cast<std::size_t>(count)));
    if (std::ssize(run) < count ||
        std::ranges::any_of(run, [token](std::int32_t id) { return id != token; })) {
      return InvalidArgument("a grid of " + ToText(grid) + " patches needs " +
                             std::to_string(count) + " tokens " + std::to_string(token) +
                             " one after another at token " + std::to_string(at_) +
                             ", but there are " + std::to_string(Leading(run, token)) +
                             "; image tokens do not match the images");
    }
    const std::int32_t start = found_.next;
    for (std::int64_t i = 0; i < count; ++i) {
      const double time = static_cast<double>(i / (rows * columns)) * step;
      found_.rows.push_back(static_cast<std::int64_t>(at_) + i);
      Place(start, static_cast<std::int32_t>(time), static_cast<std::int32_t>(i / columns % rows),
            static_cast<std::int32_t>(i % columns));
    }
    at_ += static_cast<std::size_t>(count);
    return OkStatus();
  }

  void Place(std::int32_t start, std::int32_t time, std::int32_t row, std::int32_t column) {
    Push(start + time, start + row, start + column);
    found_.next = std::max(found_.next, start + std::max({time, row, column}) + 1);
  }

  static std::int64_t Leading(std::span<const std::int32_t> run, std::int32_t token) {
    return std::ranges::find_if(run, [token](std::int32_t id) { return id != token; }) -
           run.begin();
  }

  Status Mismatch(std::size_t items) const {
    return InvalidArgument("token " + std::to_string(at_) + " stands for a part of an image (id " +
                           std::to_string(ids_[at_]) + "), but all " + std::to_string(items) +
                           " images and videos have their tokens before it; image tokens do not "
                           "match the images");
  }

  const VisionShape& shape_;
  std::span<const std::int32_t> ids_;
  std::size_t at_ = 0;
  VisualPositions found_;
};

}  // namespace

std::string ToText(const VisualGrid& grid) {
  return std::to_string(grid.frames) + " x " + std::to_string(grid.rows) + " x " +
         std::to_string(grid.columns);
}

Status CheckGrid(const VisionShape& shape, const VisualGrid& grid, std::string_view what) {
  constexpr std::int64_t kMostPatches = 1 << 20;
  const bool positive = grid.frames > 0 && grid.rows > 0 && grid.columns > 0;
  const bool small = positive && grid.frames <= kMostPatches && grid.rows <= kMostPatches &&
                     grid.columns <= kMostPatches / grid.rows &&
                     grid.frames <= kMostPatches / (grid.rows * grid.columns);
  if (!small) {
    return InvalidArgument(std::string(what) + " has " + ToText(grid) +
                           " patches, expected at least one on each side and at most " +
                           std::to_string(kMostPatches) + " in all");
  }
  if (grid.rows % shape.merge != 0 || grid.columns % shape.merge != 0) {
    return InvalidArgument(std::string(what) + " has " + ToText(grid) +
                           " patches, expected rows and columns that " +
                           std::to_string(shape.merge) + " divides (spatial_merge_size)");
  }
  return OkStatus();
}

Result<VisualPositions> PositionsOf(const VisionShape& shape, std::span<const std::int32_t> ids,
                                    std::span<const VisualItem> items) {
  return Walk(shape, ids).Run(items);
}

}  // namespace tyllm::model
