// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/bench.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "common/base/thread_count.h"
#include "worker/app/commands/commands.h"

namespace tyllm::app {

namespace {

constexpr double kMega = 1e6;

void Print(const char* name, const simulator::BenchSide& side) {
  std::printf("\n%-8s %7.1f tokens/s (median %.1f), %.1f MB a token, %.1f GB/s, %.0f%% of memory\n",
              name, side.tokens_per_second, side.median_tokens_per_second,
              side.bytes_per_token / kMega, side.gigabytes_per_second,
              side.share_of_memory_speed * 100);
  if (side.ops.empty()) {
    return;
  }
  std::printf("  %-10s %-34s %6s %9s %8s %7s\n", side.program.c_str(), "op", "calls", "ms a token",
              "GB/s", "memory");
  const auto tokens = static_cast<double>(side.tokens);
  for (const simulator::BenchOp& op : side.ops) {
    std::printf("  %-10s %-34s %6lld %10.4f", op.segment.c_str(), op.op.c_str(),
                static_cast<long long>(op.calls), op.milliseconds / tokens);
    if (op.bytes > 0) {
      std::printf(" %8.1f %6.0f%%", op.gigabytes_per_second, op.share_of_memory_speed * 100);
    }
    std::printf("\n");
  }
  std::printf("  %-10s %-34s %6s %10.4f\n", "", "between them, and the host", "",
              side.between_ms / tokens);
}

void Print(const simulator::BenchReport& report) {
  std::printf("%s: %lld %s, %lld %s, %s, head %s\n", report.directory.c_str(),
              static_cast<long long>(report.dies), report.dies == 1 ? "die" : "dies",
              static_cast<long long>(report.threads), report.threads == 1 ? "thread" : "threads",
              report.engine == "compiled" ? report.target_cpu.c_str() : "interpreted in float32",
              report.head.c_str());
  std::printf("memory   %7.1f GB/s read by as many threads\n", report.memory_gigabytes_per_second);
  Print("prefill", report.prefill);
  Print("decode", report.decode);
}

}  // namespace

void DeclareBench(cli::CommandSpec& spec, Invocation& invocation) {
  struct Arguments {
    simulator::BenchRequest request;
    bool json = false;
  };

  auto arguments = std::make_shared<Arguments>();
  simulator::BenchRequest& request = arguments->request;
  spec.options = {
      {"DIR", "DIR", "the compiled model", &request.directory, true},
      {"--threads", "N", "threads for the dies; 0: one a core", &request.threads},
      {"--prompt", "N", "tokens that are prefilled", &request.prompt_tokens},
      {"--decode", "N", "tokens that are decoded after them", &request.decode_tokens},
      {"--repeats", "N", "runs of either; the best and the median are told", &request.repeats},
      {"--trace", "FILE", "write a trace of a prefill and a token, for chrome://tracing",
       &request.trace},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  spec.description =
      "Measures a compiled model on the die simulator of this machine: tokens a second, bytes a "
      "token, and the share of the memory's speed, in all and for each kind of operation.";
  spec.examples = {"tyllm bench Qwen3-1.7B-AOT_96_4096 --threads 2"};
  spec.run = [arguments, &invocation] {
    if (const Status status = CheckThreadCount("--threads", arguments->request.threads);
        !status.ok()) {
      return cli::ReportError(status, arguments->json);
    }
    const auto report =
        simulator::Bench(LocalFileSystem(), arguments->request, *invocation.OpenProgress());
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
