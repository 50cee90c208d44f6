// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "common/base/thread_count.h"
#include "common/cli/task_option_rows.h"
#include "worker/app/commands/commands.h"
#include "worker/app/installed.h"

namespace tyllm::app {

namespace {

struct Arguments {
  quant::QuantizeRequest request;
  bool json = false;
};

Result<quant::QuantizationReport> Run(quant::QuantizeRequest& request, Invocation& invocation) {
  TYLLM_TRY(CheckThreadCount("--threads", request.threads));
  if (domain::TakeCalibrationSet(request.calibration_text.string(), request.options)) {
    request.calibration_text.clear();
  }
  if (request.calibration_text.empty() && request.options.method != domain::QuantizeMethod::kRtn) {
    TYLLM_ASSIGN(request.calibration_text, CalibrationFile(request.options.calibration.set));
  }
  return quant::Quantize(request, *invocation.OpenProgress());
}

}  // namespace

void DeclareQuantize(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<Arguments>();
  quant::QuantizeRequest& request = arguments->request;
  spec.options = {
      {"--model", "DIR", "the floating-point model", &request.model, true},
      {"--out", "DIR", "where the quantized model goes; must not exist", &request.out, true},
      {"--calibration", "PATH",
       "a UTF-8 text, JSON lines, or a folder of these; or the name of a set that came with the "
       "program: wikitext-2 (default), builtin",
       &request.calibration_text},
      {"--device", "DEVICE", "auto, cpu or cuda:N", &request.device},
      {"--threads", "N", "0: all CPUs that this process may use", &request.threads},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  cli::AddOptions(spec, request.options);
  spec.description =
      "Writes a 4-bit model directory with everything that the source has besides weights, and "
      "quantization_report.json.";
  spec.examples = {"tyllm quantize --model Qwen3-1.7B --out Qwen3-1.7B-AMTC",
                   "tyllm quantize --model Qwen3-1.7B --out Qwen3-1.7B-AWQ --format awq "
                   "--calibration articles.txt --keep-float 'layers\\.0\\.'"};
  spec.run = [arguments, &invocation] {
    const auto report = Run(arguments->request, invocation);
    if (!report.ok()) {
      return cli::ReportError(report.status(), arguments->json);
    }
    if (arguments->json) {
      std::cout << format::PrettyJson(quant::ReportWithRun(*report));
    } else {
      std::cout << quant::ReportText(*report);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
