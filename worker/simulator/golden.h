// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::simulator {

/// What a model has to answer: logits of the same quantized weights evaluated in float32.
struct Golden {
  std::vector<std::int32_t> tokens;
  std::int64_t rows = 0;  ///< logits are those of the last `rows` tokens
  std::int64_t vocabulary = 0;
  std::vector<float> logits;  ///< [rows, vocabulary]

  std::span<const float> Row(std::int64_t row) const {
    return std::span(logits).subspan(static_cast<std::size_t>(row * vocabulary),
                                     static_cast<std::size_t>(vocabulary));
  }
};

/// golden.safetensors of an artifact (docs/formats/artifact-directory.md): token_ids I32 [n],
/// logits F32 [k, vocabulary], k <= n. Errors name the file and the tensor.
Result<Golden> ReadGolden(const Path& path, std::int64_t vocabulary);

/// The same, computed from the model directory: logits of the last `rows` tokens.
Result<Golden> EvaluateGolden(const Path& model, std::span<const std::int32_t> tokens,
                              std::int64_t rows);

}  // namespace tyllm::simulator
