// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/domain/progress.h"
#include "worker/evaluate/participant.h"
#include "worker/evaluate/report.h"
#include "worker/model/chat_template.h"
#include "worker/tensor/backend.h"
#include "worker/vision/medium.h"

namespace tyllm::evaluate {

struct SampleOptions {
  std::vector<std::string> prompts;
  std::optional<model::ChatPrompt> chat;  ///< the prompts are messages to answer
  std::int64_t max_tokens = 64;
  bool stop = true;                   ///< end at the model's end tokens
  std::vector<vision::Medium> media;  ///< what each prompt is about; needs a model that sees
};

/// What can be found wrong with prompts and media before any model runs: a model that does not see,
/// media that cannot be read, prompts that leave no room for the new tokens.
Status CheckSamples(const SampleOptions& options, Participants models);

/// The prompts as each model continues them greedily: texts before and after quantization, side by
/// side. Reports the stage "generate" in texts.
Result<std::vector<Sample>> WriteSamples(const SampleOptions& options, Participants models,
                                         tensor::Backend& backend, domain::ProgressSink& progress);

}  // namespace tyllm::evaluate
