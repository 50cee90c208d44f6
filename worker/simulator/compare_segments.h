// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "common/format/json.h"

namespace tyllm::simulator {

/// How far compiled code is from float32 after one segment.
struct SegmentDifference {
  std::string name;  ///< "embed", "attention", "mlp", "logits"
  std::int64_t layer = -1;
  double max_difference = 0;
  double relative_error = 0;  ///< root of (sum of squared differences / sum of squares)
  double cosine = 1;          ///< of the angle between the two
};

SegmentDifference CompareNumbers(std::string name, std::int64_t layer, std::span<const float> found,
                                 std::span<const float> expected);

/// Runs the shared objects and their schedules in float32 over `tokens` and compares what every
/// segment leaves: the dies' sums and the logits of the last token. To find the layer where a wrong
/// result begins.
Result<std::vector<SegmentDifference>> CompareSegments(const Path& directory,
                                                       std::span<const std::int32_t> tokens);

}  // namespace tyllm::simulator

template <>
struct tyllm::format::Members<tyllm::simulator::SegmentDifference> {
  using D = tyllm::simulator::SegmentDifference;
  static constexpr auto kTable = std::tuple{
      Member{"name", &D::name},
      Member{"layer", &D::layer},
      Member{"max_difference", &D::max_difference},
      Member{"relative_error", &D::relative_error},
      Member{"cosine", &D::cosine},
  };
};
