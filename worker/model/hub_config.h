// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/format/json.h"
#include "worker/model/published_models.h"

namespace tyllm::model {

/// Ids of the special tokens that config.json names.
struct SpecialTokens {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// The config.json of a published model in the form that the hub has it, from which ParseShape
/// makes the model's shape again. Visual-language models get their vision_config, and for Qwen3's a
/// text_config.
format::Json HubConfig(const PublishedModel& model, const SpecialTokens& tokens);

}  // namespace tyllm::model
