// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/synthesize_model.h"

#include <iostream>

#include "worker/quant/synthesize.h"

namespace tyllm::app {

namespace {

Result<quant::SynthesisReport> Run(const SynthesizeArguments& arguments, Invocation& invocation) {
  quant::SynthesisRequest request;
  TYLLM_ASSIGN(request.model, quant::FindPublishedModel(*arguments.shape));
  request.out = *arguments.out;
  request.layers = arguments.layers.value_or(0);
  request.quantized = arguments.quantized;
  return quant::Synthesize(request, *invocation.OpenProgress());
}

}  // namespace

cli::Choice SynthesizeArguments::QuantizedChoice() {
  domain::QuantizedFormat any{};
  cli::Choice choice = cli::OneOf(domain::kQuantizedFormatNames, &any);
  choice.initial = "";
  choice.set = [this](std::string_view text) {
    const auto parsed = domain::kQuantizedFormatNames.Parse(text);
    if (parsed.ok()) {
      quantized = *parsed;
    }
    return parsed.status();
  };
  return choice;
}

Status Check(const SynthesizeArguments& arguments) {
  if (!arguments.shape) {
    return arguments.out || arguments.layers || arguments.quantized
               ? InvalidArgument("--out, --layers and --quantized belong to --synthesize; add it")
               : OkStatus();
  }
  if (!arguments.out) {
    return InvalidArgument("--synthesize needs --out, the folder to write; add it");
  }
  if (arguments.layers.value_or(1) < 1) {
    return InvalidArgument("--layers is " + std::to_string(*arguments.layers) +
                           ", expected 1 or more");
  }
  return OkStatus();
}

cli::ExitCode SynthesizeModel(const SynthesizeArguments& arguments, bool json,
                              Invocation& invocation) {
  const auto report = Run(arguments, invocation);
  if (!report.ok()) {
    return cli::ReportError(report.status(), json);
  }
  if (json) {
    std::cout << format::PrettyJson(format::ToJson(*report));
  } else {
    std::cout << quant::ReportText(*report);
  }
  return cli::ExitCode::kOk;
}

}  // namespace tyllm::app
