// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/seen_sequence.h"

#include <algorithm>
#include <string>

namespace tyllm::simulator {

namespace {

/// Index of the first visual token at or behind `token`.
std::size_t FirstRow(const std::vector<std::int64_t>& rows, std::int64_t token) {
  return static_cast<std::size_t>(std::ranges::lower_bound(rows, token) - rows.begin());
}

}  // namespace

Result<SeenSequence> SeenSequence::Make(const model::VisionShape& shape,
                                        std::span<const std::int32_t> ids,
                                        std::span<const model::VisualItem> items,
                                        std::span<const forward::VisualFeatures> features) {
  SeenSequence seen;
  TYLLM_ASSIGN(seen.positions, model::PositionsOf(shape, ids, items));
  for (const forward::VisualFeatures& item : features) {
    seen.features.tokens.AppendRows(item.tokens.view());
    seen.features.deepstack.resize(std::max(seen.features.deepstack.size(), item.deepstack.size()));
    for (std::size_t level = 0; level < item.deepstack.size(); ++level) {
      seen.features.deepstack[level].AppendRows(item.deepstack[level].view());
    }
  }
  if (seen.features.tokens.rows() != std::ssize(seen.positions.rows)) {
    return InvalidArgument("the text has " + std::to_string(seen.positions.rows.size()) +
                           " tokens that stand for parts of images, but the images make " +
                           std::to_string(seen.features.tokens.rows()) + " features");
  }
  return seen;
}

std::array<std::vector<std::int32_t>, 3> SeenSequence::PositionsFrom(std::int64_t first,
                                                                     std::int64_t count) const {
  const auto known = std::ssize(positions.axes[0]);
  std::array<std::vector<std::int32_t>, 3> axes;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::int64_t t = first; t < first + count; ++t) {
      axes[axis].push_back(t < known ? positions.axes[axis][static_cast<std::size_t>(t)]
                                     : positions.next + static_cast<std::int32_t>(t - known));
    }
  }
  return axes;
}

void SeenSequence::Place(std::int64_t first, std::int64_t count, std::int64_t width,
                         float* rows) const {
  for (std::size_t i = FirstRow(positions.rows, first);
       i < positions.rows.size() && positions.rows[i] < first + count; ++i) {
    std::ranges::copy(features.tokens.row(static_cast<std::int64_t>(i)),
                      rows + (positions.rows[i] - first) * width);
  }
}

std::vector<float> SeenSequence::Deepstack(std::int64_t first, std::int64_t count,
                                           std::int64_t width) const {
  const std::size_t begin = FirstRow(positions.rows, first);
  const std::size_t end = FirstRow(positions.rows, first + count);
  std::vector<float> added;
  if (begin == end || features.deepstack.empty()) {
    return added;
  }
  const auto levels = std::ssize(features.deepstack);
  added.resize(static_cast<std::size_t>(levels * count * width));
  for (std::int64_t level = 0; level < levels; ++level) {
    for (std::size_t i = begin; i < end; ++i) {
      std::ranges::copy(
          features.deepstack[static_cast<std::size_t>(level)].row(static_cast<std::int64_t>(i)),
          added.begin() + (level * count + positions.rows[i] - first) * width);
    }
  }
  return added;
}

}  // namespace tyllm::simulator
