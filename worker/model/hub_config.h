// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/format/json.h"
#include "worker/model/published_models.h"

namespace tyllm::model {

/// Ids of the special tokens that config.json names.
struct SpecialTokens {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  /// Of models that see: beginning and end of an image, and its and a video's place holders, one
  /// after another.
  std::int64_t first_visual = 0;
};

/// The config.json of a published model in the form that the hub has it, from which ParseShape
/// makes the model's shape again. `vision` becomes its vision_config; null for models that do not
/// see. Qwen3's visual-language models have a text_config, as on the hub.
format::Json HubConfig(const PublishedModel& model, const SpecialTokens& tokens,
                       const format::Json& vision);

}  // namespace tyllm::model
