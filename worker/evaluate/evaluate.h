// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "worker/evaluate/report.h"
#include "worker/vision/medium.h"

namespace tyllm::evaluate {

/// Names of files in an output folder.
inline constexpr const char* kReportFile = "evaluation.json";
inline constexpr const char* kAnswersFile = "answers.jsonl";

/// What to measure: a text, questions, prompts to continue, or several of these.
struct Request {
  Path model;
  std::optional<Path> reference;  ///< a model to compare with, usually the float one
  std::optional<Path> text;       ///< a UTF-8 text file; the reference's tokenizer must be the same
  std::optional<Path> questions;  ///< multiple-choice questions (docs/formats/questions.md)
  std::optional<Path> visual_questions;  ///< about images (docs/formats/visual-questions.md)
  domain::EvaluateOptions options;
  std::vector<vision::Medium> media;  ///< what the prompts are about
  std::string device = "auto";
  int threads = 0;          ///< 0: all CPUs
  std::optional<Path> out;  ///< a folder to create with the report; nothing is written without
};

/// Measures a model directory, float or quantized alike; with a reference also how far the two are
/// apart. Conditions of the options are judged, not enforced: the report says which hold. Nothing
/// is left at `out` when it fails.
Result<Report> Evaluate(const Request& request, FileSystem& files, const Clock& clock,
                        domain::ProgressSink& progress);

}  // namespace tyllm::evaluate
