// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize.h"

#include <cstdio>
#include <iostream>
#include <memory>

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
  if (request.calibration_text.empty() && request.options.method != domain::QuantizeMethod::kRtn) {
    TYLLM_ASSIGN(request.calibration_text, InstalledFile("wikitext-2/valid.txt"));
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
      {"--calibration", "FILE", "UTF-8 text; default: wikitext-2, which came with the program",
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
      std::cout << format::PrettyJson(format::ToJson(*report));
    } else {
      std::cout << quant::ReportText(*report);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
