// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/model/checkpoint_format.h"
#include "worker/model/model_shape.h"
#include "worker/model/quantization_config.h"
#include "worker/model/weight_files.h"

namespace tyllm::model {

/// A linear layer of a checkpoint: its matrix is [out, in], its tensors have these keys.
struct LinearStorage {
  std::int64_t out = 0;
  std::int64_t in = 0;
  CheckpointFormat format = CheckpointFormat::kFloat;
};

/// What the tensors of a model directory turned out to be.
struct CheckpointLayout {
  CheckpointFormat format = CheckpointFormat::kFloat;
  std::int64_t group = 0;  ///< 0 when nothing is quantized
  std::map<std::string, LinearStorage, std::less<>> linears;
  std::vector<std::string> visual;  ///< tensors of the visual tower, sorted
  std::vector<std::string> unused;  ///< tensors that no part of the model uses, sorted
};

/// Checks that every tensor of `shape` is in `weights` with the right type and shape, and that each
/// linear layer is stored in exactly one way. Errors name file, tensor, found and expected.
Result<CheckpointLayout> FindLayout(const WeightFiles& weights, const ModelShape& shape,
                                    const std::optional<QuantizationConfig>& quantization,
                                    const Path& directory);

}  // namespace tyllm::model
