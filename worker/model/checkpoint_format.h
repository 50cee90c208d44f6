// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/base/enum_table.h"

namespace tyllm::model {

/// How the linear layers of a model directory are stored (docs/formats/checkpoints.md).
enum class CheckpointFormat : std::uint8_t {
  kFloat,    ///< F16, BF16 or F32 weights
  kAmtc,     ///< quantizer's own: <linear>.quanted_layer.{quanted_weight, weight_scale, zero, bias}
  kAwqGemm,  ///< <linear>.{qweight, qzeros, scales}, AutoAWQ's GEMM layout, what vLLM loads
};

inline constexpr EnumTable<CheckpointFormat, 3> kCheckpointFormatNames(
    "checkpoint format", {{{CheckpointFormat::kFloat, "float"},
                           {CheckpointFormat::kAmtc, "amtc"},
                           {CheckpointFormat::kAwqGemm, "awq"}}});

constexpr const auto& NamesOf(CheckpointFormat) {
  return kCheckpointFormatNames;
}

/// What follows a linear layer's module name in the names of its tensors. Quantized storages hold
/// all three of weight, scales and zeros; every storage may have a bias.
struct LinearKeys {
  CheckpointFormat format = CheckpointFormat::kFloat;
  std::string_view weight;
  std::string_view scales;
  std::string_view zeros;
  std::string_view bias;
};

inline constexpr std::array<LinearKeys, 3> kLinearKeys{{
    {CheckpointFormat::kFloat, ".weight", "", "", ".bias"},
    {CheckpointFormat::kAmtc, ".quanted_layer.quanted_weight", ".quanted_layer.weight_scale",
     ".quanted_layer.zero", ".quanted_layer.bias"},
    {CheckpointFormat::kAwqGemm, ".qweight", ".scales", ".qzeros", ".bias"},
}};

constexpr const LinearKeys& KeysOf(CheckpointFormat format) {
  return kLinearKeys[static_cast<std::size_t>(format)];
}

}  // namespace tyllm::model
