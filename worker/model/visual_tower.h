// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/format/json.h"
#include "worker/model/model_shape.h"
#include "worker/model/tensor_inventory.h"

namespace tyllm::model {

/// The vision_config of a published model that sees, with the values of its config.json; null for
/// other models. `name`: "Qwen3-VL-4B".
format::Json PublishedVision(std::string_view name, const ModelShape& shape);

/// All tensors of the visual tower that a vision_config describes, each with its whole name and
/// none of them quantized (is_linear tells which are matrices of linear layers). kUnimplemented for
/// kinds of towers that are not known; `what` names the configuration in messages.
Result<std::vector<NeededTensor>> VisualTensors(const format::Json& vision, std::string_view what);

/// Those of `names`, all of a model's tower, that the tower which its config.json describes does
/// not have. None where the configuration describes no tower that is known.
std::vector<std::string> UnusedVisualTensors(const format::Json& config,
                                             const std::vector<std::string>& names);

}  // namespace tyllm::model
