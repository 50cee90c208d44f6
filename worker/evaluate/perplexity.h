// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "worker/evaluate/participant.h"
#include "worker/evaluate/report.h"
#include "worker/tensor/backend.h"

namespace tyllm::evaluate {

/// A text in the models' tokens.
struct ReadText {
  TextScope scope;
  std::vector<model::TokenId> tokens;
};

/// Errors: a text too short for one window, a window without positions, models that read the text
/// as different tokens.
Result<ReadText> PrepareText(FileSystem& files, const Path& path,
                             const domain::EvaluateOptions& options, Participants models);

/// Fills in the scores of the models, and what compares them. Reports the stage "evaluate" in
/// windows.
Status MeasurePerplexity(const ReadText& text, Participants models, tensor::Backend& backend,
                         domain::ProgressSink& progress, Report& report);

}  // namespace tyllm::evaluate
