// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify.h"

#include <algorithm>
#include <cmath>
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

void Print(const simulator::VerifyReport& report, bool layers) {
  std::printf("%s: %lld %s, %lld files, %.1f MB\n", report.directory.c_str(),
              static_cast<long long>(report.dies), report.dies == 1 ? "die" : "dies",
              static_cast<long long>(report.files), static_cast<double>(report.bytes) / 1e6);
  if (layers) {
    for (const simulator::SegmentDifference& segment : report.segments) {
      std::printf("%-9s %5lld  largest difference %.3g, relative error %.3g, cosine %.6f\n",
                  segment.name.c_str(), static_cast<long long>(segment.layer),
                  segment.max_difference, segment.relative_error, segment.cosine);
    }
  }
  const auto worst = std::max_element(
      report.segments.begin(), report.segments.end(),
      [](const auto& a, const auto& b) { return a.relative_error < b.relative_error; });
  if (worst != report.segments.end()) {
    std::printf(
        "segments   %zu compared with float32, farthest: %s of layer %lld, relative error "
        "%.3g, cosine %.6f\n",
        report.segments.size(), worst->name.c_str(), static_cast<long long>(worst->layer),
        worst->relative_error, worst->cosine);
  }
  std::printf(
      "logits     %lld rows, largest difference %.3g (allowed %.3g), KL %.3g (largest %.3g)\n",
      static_cast<long long>(report.rows), report.max_difference, report.tolerance,
      report.kl_divergence, report.kl_largest);
  std::printf("best token %lld of %lld rows agree with float32, %lld ties\n",
              static_cast<long long>(report.best_tokens - report.ties),
              static_cast<long long>(report.best_tokens), static_cast<long long>(report.ties));
  std::printf("chunks     %s give the same bits and the same text (%lld tokens of float32's)\n",
              Joined(report.chunkings).c_str(), static_cast<long long>(report.greedy));
  if (!report.filled.empty()) {
    std::printf("history    %s give the same bits as other chunks\n",
                Joined(report.filled).c_str());
  }
  if (report.visual_tokens > 0) {
    std::printf(
        "images     a prompt of %lld tokens, largest difference %.3g, %lld tokens of float32's "
        "answer\n",
        static_cast<long long>(report.visual_tokens), report.visual_max_difference,
        static_cast<long long>(report.visual_greedy));
  }
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
      {"--tolerance", "X", "largest difference of a logit; 0: as the options of the model allow",
       &request.logit_tolerance},
      {"--layers", "", "compare every segment over all tokens, and show each", &request.layers},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  spec.description =
      "Checks every file of a compiled model, loads it, and compares every layer, the logits and "
      "the "
      "text with the float32 reference of the same weights. The first thing that differs is named.";
  spec.examples = {"tyllm verify Qwen3-1.7B-AOT_96_4096"};
  spec.run = [arguments, &invocation] {
    if (const double tolerance = arguments->request.logit_tolerance;
        !std::isfinite(tolerance) || tolerance < 0) {
      return cli::ReportError(
          InvalidArgument("--tolerance is " + std::to_string(tolerance) +
                          ", expected 0 (as the options of the model allow) or more"),
          arguments->json);
    }
    const auto report = simulator::Verify(arguments->request, *invocation.OpenProgress());
    if (!report.ok()) {
      return cli::ReportError(report.status(), arguments->json);
    }
    if (arguments->json) {
      std::cout << format::PrettyJson(format::ToJson(*report));
    } else {
      Print(*report, arguments->request.layers);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
