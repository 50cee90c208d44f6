// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/format/json.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::quant {

/// config.json of a quantized model: the source's, with float16 as its type and, for the AutoAWQ
/// layout, a quantization_config that vLLM and transformers understand. An AMTC checkpoint has
/// none: no reader of that key reads AMTC (docs/formats/checkpoints.md). `kept` are the full names
/// of linear layers inside decoder layers that stay in floating point; the visual tower, where
/// there is one, is added.
format::Json QuantizedModelConfig(const format::Json& source, model::CheckpointFormat format,
                                  std::int64_t group_size, const std::vector<std::string>& kept);

}  // namespace tyllm::quant
