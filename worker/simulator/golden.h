// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/file_system.h"
#include "worker/simulator/compare_logits.h"

namespace tyllm::simulator {

/// Of the largest logits that are kept of every row.
inline constexpr std::int64_t kTopLogits = 16;

/// What a model has to answer: the same quantized weights run on one die in float32 by plain loops
/// (reference.h).
struct Golden {
  std::vector<std::int32_t> tokens;
  std::int64_t rows = 0;  ///< logits are those of the last `rows` tokens
  std::int64_t vocabulary = 0;
  std::vector<float> logits;       ///< [rows, vocabulary]
  std::vector<std::int32_t> best;  ///< [tokens]: the token with the largest logit after each one
  /// The largest logits after each token and their tokens, largest first: [tokens, top].
  std::int64_t top = 0;
  std::vector<std::int32_t> top_tokens;
  std::vector<float> top_logits;
  std::vector<float> log_sums;  ///< [tokens]: log of the sum of e^logit over the vocabulary
  std::int64_t width = 0;
  /// [segments, width]: what every segment but the head leaves of the last token, summed over the
  /// dies; numbered as in plan::Schedule::Runs.
  std::vector<float> segments;
  std::vector<std::int32_t> greedy;  ///< the text's continuation, greedy
  /// Where programs round to int8: what that changes in the reference, for each segment the
  /// relative error of the last token, then the largest difference of any logit: [segments + 1].
  /// Else empty.
  std::vector<float> rounding;

  double rounding_of_segment(std::int64_t segment) const {
    return rounding.empty() ? 0 : rounding[static_cast<std::size_t>(segment)];
  }

  double rounding_of_logits() const { return rounding.empty() ? 0 : rounding.back(); }

  std::span<const float> Row(std::int64_t row) const {
    return std::span(logits).subspan(static_cast<std::size_t>(row * vocabulary),
                                     static_cast<std::size_t>(vocabulary));
  }

  RowSummary Summary(std::int64_t token) const {
    const auto first = static_cast<std::size_t>(token * top);
    const auto count = static_cast<std::size_t>(top);
    return {std::span(top_tokens).subspan(first, count),
            std::span(top_logits).subspan(first, count), log_sums[static_cast<std::size_t>(token)]};
  }

  std::int64_t segment_count() const {
    return width == 0 ? 0 : static_cast<std::int64_t>(segments.size()) / width;
  }

  std::span<const float> Segment(std::int64_t segment) const {
    return std::span(segments).subspan(static_cast<std::size_t>(segment * width),
                                       static_cast<std::size_t>(width));
  }
};

/// golden.safetensors of an artifact (docs/formats/golden.md). Errors name the file and the tensor.
Result<Golden> ReadGolden(const Path& path, std::int64_t vocabulary);

/// Writes it. The file gets its name when it is complete.
Status WriteGoldenFile(FileSystem& files, const Path& path, const Golden& golden);

}  // namespace tyllm::simulator
