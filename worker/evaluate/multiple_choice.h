// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/domain/progress.h"
#include "worker/evaluate/choice.h"
#include "worker/evaluate/participant.h"
#include "worker/evaluate/report.h"

namespace tyllm::evaluate {

/// Questions, in the tokens of each model.
struct ReadQuestions {
  QuestionSet set;
  std::vector<AskedQuestions> asked;  ///< of each model

  QuestionScope Scope(const domain::EvaluateOptions& options) const;
};

/// Errors: as LoadQuestions and Ask.
Result<ReadQuestions> PrepareQuestions(FileSystem& files, const Path& path, const AskOptions& ask,
                                       Participants models);

/// A report on these questions without results: every figure is there, and 0.
ChoiceReport EmptyReportOf(const QuestionSet& set, bool with_reference);

/// Accuracies of the answers of the model, and of its reference's.
ChoiceReport ReportOf(const QuestionSet& set, const std::vector<Answers>& answers);

/// Fills in `choice` and `generated`, as asked for. Gives the answers one by one, as JSON lines
/// (docs/formats/evaluation.md). Reports the stages "questions" and "answers" in questions.
Result<std::string> MeasureChoices(const ReadQuestions& questions, const AskOptions& ask,
                                   Participants models, tensor::Backend& backend,
                                   domain::ProgressSink& progress, Report& report);

}  // namespace tyllm::evaluate
