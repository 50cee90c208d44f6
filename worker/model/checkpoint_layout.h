// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/model/checkpoint_format.h"
#include "worker/model/linear_formats.h"
#include "worker/model/model_shape.h"
#include "worker/model/quantization_config.h"
#include "worker/model/weight_files.h"

namespace tyllm::model {

/// A linear layer of a checkpoint: its matrix is [out, in].
struct LinearStorage {
  std::int64_t out = 0;
  std::int64_t in = 0;
  const LinearFormat* format = nullptr;  ///< nullptr: in floating point

  /// What follows the layer's name in the name of its bias.
  std::string_view bias_key() const { return format == nullptr ? ".bias" : format->bias_key; }
};

/// What the tensors of a model directory turned out to be.
struct CheckpointLayout {
  CheckpointFormat format = CheckpointFormat::kFloat;
  LinearTraits traits;  ///< of the quantized layers; group is 0 when nothing is quantized
  std::map<std::string, LinearStorage, std::less<>> linears;
  std::vector<std::string> visual;  ///< tensors of the visual tower, sorted
  std::vector<std::string> unused;  ///< tensors that no part of the model uses, sorted

  LinearSize SizeOf(const LinearStorage& storage) const {
    return {storage.out, storage.in, traits.group};
  }
};

/// Checks that every tensor of `shape` is in `weights` with the right type and shape, and that each
/// linear layer is stored in exactly one way. Errors name file, tensor, found and expected.
Result<CheckpointLayout> FindLayout(const WeightFiles& weights, const ModelShape& shape,
                                    const std::optional<QuantizationConfig>& quantization,
                                    const Path& directory);

}  // namespace tyllm::model
