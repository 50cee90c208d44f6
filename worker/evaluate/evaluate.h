// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "worker/evaluate/report.h"

namespace tyllm::evaluate {

/// Name of the report in an output folder.
inline constexpr const char* kReportFile = "evaluation.json";

struct Request {
  Path model;
  std::optional<Path> reference;  ///< a model of the same vocabulary and tokenizer to compare with
  Path text;                      ///< a UTF-8 text file
  domain::EvaluateOptions options;
  std::string device = "auto";
  int threads = 0;          ///< 0: all CPUs
  std::optional<Path> out;  ///< a folder to create with evaluation.json; nothing is written without
};

/// Perplexity of a model directory on a text, float or quantized alike; with a reference also how
/// far the two are apart. Nothing is left at `out` when it fails. Reports the stage "evaluate" in
/// windows.
Result<Report> Evaluate(const Request& request, FileSystem& files, const Clock& clock,
                        domain::ProgressSink& progress);

}  // namespace tyllm::evaluate
