// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "common/domain/task_options.h"
#include "worker/model/chat_template.h"

namespace tyllm::evaluate {

/// How a prompt is written as a message; nothing for prompts that are texts.
inline std::optional<model::ChatPrompt> ChatPromptOf(const domain::ChatOptions& options) {
  return options.enabled ? std::optional(model::ChatPrompt{options.system, options.thinking})
                         : std::nullopt;
}

}  // namespace tyllm::evaluate
