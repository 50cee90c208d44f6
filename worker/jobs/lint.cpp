// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/lint.h"

#include "worker/model/quantization_config.h"
#include "worker/model/tensor_inventory.h"

namespace tyllm::jobs {

namespace {

std::string Counted(std::int64_t count, std::string_view thing) {
  return std::to_string(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

std::string ParallelText(const std::vector<ParallelSize>& sizes) {
  std::string text;
  for (const ParallelSize& size : sizes) {
    text += (text.empty() ? "" : ", ") + std::to_string(size.size) +
            (!size.loads           ? " no"
             : size.slower.empty() ? " yes"
                                   : " yes, slower");
  }
  return text;
}

}  // namespace

Result<LintReport> LintForVllm(const Path& directory) {
  TYLLM_ASSIGN(const model::Checkpoint checkpoint, model::Checkpoint::Open(directory));
  LintReport report;
  report.directory = directory.string();
  report.format = checkpoint.format();
  LintSubject subject{checkpoint};
  TYLLM_ASSIGN(const auto quantization,
               model::FindQuantizationConfig(checkpoint.config(), directory));
  if (quantization) {
    subject.quantization = &quantization->json;
    subject.quantization_file = quantization->file;
  }
  for (const model::NeededTensor& needed : model::NeededTensors(checkpoint.shape())) {
    if (needed.is_linear && needed.name != checkpoint.shape().names.head) {
      subject.linears.push_back(needed.name);
    }
  }
  LintFindings findings(report);
  for (const LintRule& rule : kVllmRules) {
    findings.StartRule(rule.name);
    rule.check(subject, findings);
  }
  return report;
}

std::string ReportText(const LintReport& report) {
  std::string text;
  for (const LintFinding& finding : report.findings) {
    text += std::string(kLintLevelNames.Name(finding.level)) + "  " + finding.rule + ": " +
            finding.message + "\n";
  }
  text += "tensor parallel  " + ParallelText(report.tensor_parallel) + "\n";
  return text + Counted(report.errors, "error") + " and " + Counted(report.warnings, "warning") +
         " by " + Counted(std::ssize(report.rules), "rule") + " of " + report.reader + " (" +
         std::string(model::kCheckpointFormatNames.Name(report.format)) + ")\n";
}

}  // namespace tyllm::jobs
