// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::simulator {

/// What a model has to answer: the same quantized weights run on one die in float32 by plain loops
/// (reference.h).
struct Golden {
  std::vector<std::int32_t> tokens;
  std::int64_t rows = 0;  ///< logits are those of the last `rows` tokens
  std::int64_t vocabulary = 0;
  std::vector<float> logits;       ///< [rows, vocabulary]
  std::vector<std::int32_t> best;  ///< [tokens]: the token with the largest logit after each one
  std::int64_t width = 0;
  /// [segments, width]: what every segment but the head leaves of the last token, summed over the
  /// dies; numbered as in plan::Schedule::Runs.
  std::vector<float> segments;
  std::vector<std::int32_t> greedy;  ///< the text's continuation, greedy

  std::span<const float> Row(std::int64_t row) const {
    return std::span(logits).subspan(static_cast<std::size_t>(row * vocabulary),
                                     static_cast<std::size_t>(vocabulary));
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
