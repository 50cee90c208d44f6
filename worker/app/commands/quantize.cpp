// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "worker/app/commands/commands.h"
#include "worker/app/installed.h"

namespace tyllm::app {

namespace {

struct Arguments {
  quant::QuantizeRequest request;
  bool json = false;
};

Result<quant::QuantizationReport> Run(quant::QuantizeRequest& request, Invocation& invocation) {
  if (request.calibration_text.empty() && request.options.method == domain::QuantizeMethod::kAwq) {
    TYLLM_ASSIGN(request.calibration_text, InstalledFile("wikitext-2/valid.txt"));
  }
  return quant::Quantize(request, *invocation.OpenProgress());
}

}  // namespace

void DeclareQuantize(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<Arguments>();
  quant::QuantizeRequest& request = arguments->request;
  domain::QuantizeOptions& options = request.options;
  spec.options = {
      {"--model", "DIR", "the floating-point model", &request.model, true},
      {"--out", "DIR", "where the quantized model goes; must not exist", &request.out, true},
      {"--calibration", "FILE", "UTF-8 text; default: wikitext-2, which came with the program",
       &request.calibration_text},
      {"--method", "", "how to quantize",
       cli::OneOf(domain::kQuantizeMethodNames, &options.method)},
      {"--group-size", "N", "weights that share a scale", &options.group_size},
      {"--samples", "N", "calibration sequences", &options.samples},
      {"--seq-len", "N", "tokens of each", &options.seq_len},
      {"--clip,!--no-clip", "", "search the range of each group", &options.clip},
      {"--keep-float", "REGEX", "linear layers that stay in floating point", &options.keep_float},
      {"--format", "", "layout of the result",
       cli::OneOf(domain::kQuantizedFormatNames, &options.format)},
      {"--device", "DEVICE", "auto, cpu or cuda:N", &request.device},
      {"--threads", "N", "0: all CPUs that this process may use", &request.threads},
      {"--json", "", "print one JSON document", &arguments->json},
  };
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
