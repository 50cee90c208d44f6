// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/format/json.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::quant {

/// config.json of a quantized model: the source's, with float16 as its type and the
/// quantization_config of its format, where that has one: AMTC has none, because no reader of that
/// key reads AMTC (docs/formats/checkpoints.md). `kept` are the full names of linear layers inside
/// decoder layers that stay in floating point; a visual tower is told by `vision_config`.
format::Json QuantizedModelConfig(const format::Json& source, model::CheckpointFormat format,
                                  std::int64_t group_size, const std::vector<std::string>& kept);

}  // namespace tyllm::quant
