// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/convert.h"

#include <iostream>
#include <memory>

#include "common/cli/task_option_rows.h"
#include "worker/app/commands/commands.h"

namespace tyllm::app {

void DeclareConvert(cli::CommandSpec& spec, Invocation& invocation) {
  struct Arguments {
    quant::ConvertRequest request;
    bool json = false;
  };

  auto arguments = std::make_shared<Arguments>();
  quant::ConvertRequest& request = arguments->request;
  spec.options = {
      {"--src", "DIR", "a quantized model: AMTC, AWQ GEMM, compressed-tensors or GPTQ",
       &request.source, true},
      {"--dst", "DIR", "where the converted model goes; must not exist", &request.destination,
       true},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  cli::AddOptions(spec, request.options);
  spec.description =
      "Writes a quantized checkpoint in another format, number by number the same: the vendor's "
      "(amtc), AutoAWQ's GEMM layout (awq), or compressed-tensors.";
  spec.examples = {"tyllm convert --src Qwen3-1.7B-AMTC --dst Qwen3-1.7B-AWQ --quant-type awq",
                   "tyllm convert --src Llama3-8B-GPTQ --dst Llama3-8B-AMTC --quant-type amtc"};
  spec.run = [arguments, &invocation] {
    const auto report = quant::Convert(arguments->request, *invocation.OpenProgress());
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
