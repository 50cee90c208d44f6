// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/enum_table.h"

namespace tyllm::model {

/// How the linear layers of a model directory are stored (docs/formats/checkpoints.md). What there
/// is to know of each quantized one is its row in kLinearFormats (linear_formats.h).
enum class CheckpointFormat : std::uint8_t {
  kFloat,              ///< F16, BF16 or F32 weights
  kAmtc,               ///< the vendor's quantizer's own names
  kAwqGemm,            ///< AutoAWQ's GEMM layout
  kCompressedTensors,  ///< pack-quantized of compressed-tensors
  kGptq,               ///< GPTQ's, version 1 or 2
};

inline constexpr EnumTable<CheckpointFormat, 5> kCheckpointFormatNames(
    "checkpoint format", {{{CheckpointFormat::kFloat, "float"},
                           {CheckpointFormat::kAmtc, "amtc"},
                           {CheckpointFormat::kAwqGemm, "awq"},
                           {CheckpointFormat::kCompressedTensors, "compressed-tensors"},
                           {CheckpointFormat::kGptq, "gptq"}}});

constexpr const auto& NamesOf(CheckpointFormat) {
  return kCheckpointFormatNames;
}

}  // namespace tyllm::model
