// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "worker/app/commands/commands.h"

namespace tyllm::app {

namespace {

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

void Print(const simulator::VerifyReport& report) {
  std::printf("%s: %lld %s, %lld files, %.1f MB\n", report.directory.c_str(),
              static_cast<long long>(report.dies), report.dies == 1 ? "die" : "dies",
              static_cast<long long>(report.files), static_cast<double>(report.bytes) / 1e6);
  for (const simulator::SegmentDifference& segment : report.segments) {
    std::printf("%-9s %5lld  largest difference %.3g, relative error %.3g\n", segment.name.c_str(),
                static_cast<long long>(segment.layer), segment.max_difference,
                segment.relative_error);
  }
  std::printf("logits     %lld rows, largest difference %.3g (allowed %.3g), %lld ties\n",
              static_cast<long long>(report.rows), report.max_difference, report.tolerance,
              static_cast<long long>(report.ties));
  std::printf("chunks     %s give the same bits\n", Joined(report.chunkings).c_str());
  std::printf("verified\n");
}

}  // namespace

void DeclareVerify(cli::CommandSpec& spec, Invocation& invocation) {
  struct Arguments {
    simulator::VerifyRequest request;
    bool json = false;
  };

  auto arguments = std::make_shared<Arguments>();
  simulator::VerifyRequest& request = arguments->request;
  spec.options = {
      {"DIR", "DIR", "the compiled model", &request.directory, true},
      {"--model", "DIR", "compute the expected logits from this quantized model", &request.model},
      {"--tolerance", "X", "largest difference of a logit", &request.tolerance},
      {"--layers", "", "compare every segment with the interpreter too", &request.layers},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  spec.description =
      "Checks every file of a compiled model, loads it, and compares its logits with the float32 "
      "evaluation of the same weights. The first thing that differs is named.";
  spec.examples = {"tyllm verify Qwen3-1.7B-AOT_96_4096"};
  spec.run = [arguments, &invocation] {
    const auto report = simulator::Verify(arguments->request, *invocation.OpenProgress());
    if (!report.ok()) {
      return cli::ReportError(report.status(), arguments->json);
    }
    if (arguments->json) {
      std::cout << format::PrettyJson(format::ToJson(*report));
    } else {
      Print(*report);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
