// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "common/format/json.h"
#include "worker/model/model_shape.h"
#include "worker/model/published_models.h"

namespace tyllm::model {

/// A model family as data (docs/howto/add-family.md). Whatever makes it different ends in the
/// fields of the ModelShape that `parse` returns; no other code asks which family a model is of.
struct Family {
  std::string_view name;          ///< "qwen3"
  std::string_view architecture;  ///< what config.json calls it: "Qwen3ForCausalLM"
  /// Reads config.json. `what` names the file in messages. Never fails other than with a message.
  Result<ModelShape> (*parse)(const format::Json& config, std::string_view what);
  /// The models of this family that its makers published, by size.
  std::vector<PublishedModel> (*published)();
};

}  // namespace tyllm::model
