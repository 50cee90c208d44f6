// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/lint_model.h"

#include <iostream>

#include "worker/jobs/lint.h"

namespace tyllm::app {

cli::ExitCode LintModel(const Path& directory, const std::string& reader, bool json) {
  if (reader != "vllm") {
    return cli::ReportError(InvalidArgument("--lint is '" + reader + "', expected one of: vllm"),
                            json);
  }
  const auto report = jobs::LintForVllm(directory);
  if (!report.ok()) {
    return cli::ReportError(report.status(), json);
  }
  if (json) {
    std::cout << format::PrettyJson(format::ToJson(*report));
  } else {
    std::cout << jobs::ReportText(*report);
  }
  return report->errors == 0 ? cli::ExitCode::kOk : cli::ExitCode::kFailed;
}

}  // namespace tyllm::app
